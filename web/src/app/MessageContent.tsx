// What a message says, for each type that there is. Everything is text; nothing is fetched.

import type { ReactNode } from "react";
import type {
  Contacts,
  Content,
  Generic,
  Location,
  Media,
  Message,
  Order,
  Reply,
  Unsupported,
} from "../model";
import { labelOf } from "./contact";
import {
  AudioIcon,
  ChoiceIcon,
  DocumentIcon,
  EventIcon,
  OrderIcon,
  PersonIcon,
  PhotoIcon,
  PlaceIcon,
  StickerIcon,
  UnknownIcon,
  VideoIcon,
} from "./icons";
import { Linked, safeUrl } from "./Linked";
import { useWords } from "./words";

export function MessageContent({ message }: { readonly message: Message }) {
  const words = useWords();
  if (message.redacted) return <p className="gone">{words.redacted}</p>;
  if (message.revoked) return <p className="gone">{words.revoked}</p>;
  if (message.content === null) return <p className="gone">{words.unsupported("–")}</p>;
  return <Shown content={message.content} />;
}

function Shown({ content }: { readonly content: Content }) {
  switch (content.type) {
    case "text":
      return <Body text={content.body} />;
    case "media":
      return <MediaCard media={content} />;
    case "location":
      return <LocationCard place={content} />;
    case "contacts":
      return <ContactCards cards={content} />;
    case "order":
      return <OrderCard order={content} />;
    case "reply":
      return <ReplyCard reply={content} />;
    case "generic":
      return <GenericCard event={content} />;
    case "unsupported":
      return <UnsupportedCard unknown={content} />;
    case "reaction": // shown on its message; alone only where that message is unknown
      return <Body text={content.emoji ?? ""} />;
    default: // a newer server's: shown as what it is
      return <UnsupportedCard unknown={{ type: "unsupported", kind: content.type }} />;
  }
}

/** A few emoji and nothing else are shown large. */
export const EMOJI_ONLY =
  /^(?:(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*|\p{Regional_Indicator}{2}|[#*\d]\uFE0F?\u20E3)\s*){1,3}$/u;

function Body({ text }: { readonly text: string }) {
  return (
    // In the direction of what is written: contacts write from right to left, too.
    <p className={EMOJI_ONLY.test(text) ? "body body-emoji" : "body"} dir="auto">
      <Linked text={text} />
    </p>
  );
}

function Card(props: {
  readonly icon: ReactNode;
  readonly title: ReactNode;
  readonly meta?: ReactNode;
}) {
  return (
    <div className="card">
      <span className="card-icon">{props.icon}</span>
      <div className="card-text">
        <div className="card-title">{props.title}</div>
        {props.meta ? <div className="card-meta">{props.meta}</div> : null}
      </div>
    </div>
  );
}

const MEDIA_ICONS = {
  image: PhotoIcon,
  video: VideoIcon,
  audio: AudioIcon,
  document: DocumentIcon,
  sticker: StickerIcon,
};

function MediaCard({ media }: { readonly media: Media }) {
  const words = useWords();
  const Icon = MEDIA_ICONS[media.kind] ?? UnknownIcon;
  const kind = labelOf(words, media.voice ? "voice" : media.kind);
  const facts = [
    media.filename ? kind : null,
    media.animated ? words.animated : null,
    formatOf(media),
  ];
  return (
    <>
      <Card
        icon={<Icon />}
        title={media.filename ?? kind}
        meta={
          <span title={words.mediaElsewhere}>
            {facts.filter((fact) => fact !== null).join(" · ") || words.mediaElsewhere}
          </span>
        }
      />
      {media.caption ? <Body text={media.caption} /> : null}
    </>
  );
}

/** A file's format as people call it, "PDF"; null where nothing tells. */
export function formatOf({ mime_type, filename }: Media): string | null {
  const mime = mime_type?.split(";")[0]?.trim() ?? null;
  const known =
    /\/(?:x-)?([a-z\d]{2,5})$/i.exec(mime ?? "") ?? /\.([a-z\d]{2,5})$/i.exec(filename ?? "");
  return known?.[1]?.toUpperCase() ?? mime;
}

function LocationCard({ place }: { readonly place: Location }) {
  const words = useWords();
  const point = `${place.latitude.toFixed(5)}, ${place.longitude.toFixed(5)}`;
  const url =
    (place.url ? safeUrl(place.url) : null) ??
    `https://www.openstreetmap.org/?mlat=${place.latitude}&mlon=${place.longitude}#map=16/${place.latitude}/${place.longitude}`;
  return (
    <Card
      icon={<PlaceIcon />}
      title={place.name ?? labelOf(words, "location")}
      meta={
        <>
          {place.address ? <div>{place.address}</div> : null}
          <span className="figures">{point}</span>
          {" · "}
          <a href={url} target="_blank" rel="noopener noreferrer">
            {words.openMap}
          </a>
        </>
      }
    />
  );
}

function ContactCards({ cards }: { readonly cards: Contacts }) {
  const words = useWords();
  return cards.contacts.map((card, index) => (
    <Card
      // biome-ignore lint/suspicious/noArrayIndexKey: the cards of one immutable message
      key={index}
      icon={<PersonIcon />}
      title={card.name || labelOf(words, "contacts")}
      meta={<span className="figures">{card.phones?.join(" · ")}</span>}
    />
  ));
}

function OrderCard({ order }: { readonly order: Order }) {
  const words = useWords();
  const pieces = order.items.reduce((sum, item) => sum + item.quantity, 0);
  const lines = order.items.map((item, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the lines of one immutable order
    <li key={index}>
      <span>
        {item.quantity} × {item.product}
      </span>
      <span className="figures">{price(words.locale, item.price, item.currency)}</span>
    </li>
  ));
  return (
    <>
      <Card icon={<OrderIcon />} title={labelOf(words, "order")} meta={words.orderItems(pieces)} />
      <ul className="order">{lines}</ul>
      {order.note ? <Body text={order.note} /> : null}
    </>
  );
}

function price(
  locale: string,
  value: number | null | undefined,
  currency: string | null | undefined,
): string {
  if (value === null || value === undefined) return "";
  const known = currency && /^[A-Z]{3}$/.test(currency);
  const options: Intl.NumberFormatOptions = known
    ? { style: "currency", currency }
    : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${new Intl.NumberFormat(locale, options).format(value)}${known ? "" : ` ${currency ?? ""}`}`;
}

function ReplyCard({ reply }: { readonly reply: Reply }) {
  const words = useWords();
  const answers = reply.form ? answersOf(reply.form) : [];
  return (
    <>
      <Card
        icon={<ChoiceIcon />}
        title={reply.title ?? reply.choice_id ?? words.choice[reply.kind]}
        meta={reply.description ?? words.choice[reply.kind]}
      />
      {answers.length > 0 ? <Facts label={words.form} facts={answers} /> : null}
    </>
  );
}

function GenericCard({ event }: { readonly event: Generic }) {
  const words = useWords();
  const facts = factsOf(event.data);
  return (
    <>
      <Card icon={<EventIcon />} title={event.event} />
      {event.text ? <Body text={event.text} /> : null}
      {facts.length > 0 ? (
        <details className="data">
          <summary>{words.data}</summary>
          <Facts label={words.data} facts={facts} />
        </details>
      ) : null}
    </>
  );
}

function UnsupportedCard({ unknown }: { readonly unknown: Unsupported }) {
  const words = useWords();
  const reasons = unknown.errors?.map((error) => error.detail ?? error.title).filter(Boolean) ?? [];
  return (
    <Card
      icon={<UnknownIcon />}
      title={words.unsupported(unknown.kind)}
      meta={reasons.length > 0 ? reasons.join(" ") : words.unsupportedHelp}
    />
  );
}

type Fact = readonly [string, string];

function Facts({ label, facts }: { readonly label: string; readonly facts: readonly Fact[] }) {
  return (
    <dl className="facts" aria-label={label}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function answersOf(form: string): readonly Fact[] {
  try {
    return factsOf(JSON.parse(form)).filter(([name]) => name !== "flow_token");
  } catch {
    return [["", form]];
  }
}

const FACTS_MAX = 30;

function factsOf(data: unknown): readonly Fact[] {
  if (typeof data !== "object" || data === null) return [];
  return Object.entries(data)
    .slice(0, FACTS_MAX)
    .map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
}
