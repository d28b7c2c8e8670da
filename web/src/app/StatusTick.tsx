import type { Status } from "../model";
import { DeliveredIcon, FailedIcon, SentIcon, WaitingIcon } from "./icons";
import { useWords } from "./words";

const ICONS = {
  sent: SentIcon,
  delivered: DeliveredIcon,
  read: DeliveredIcon,
  played: DeliveredIcon,
  failed: FailedIcon,
};

/** How far an outbound message got: a shape, a colour and words. */
export function StatusTick({ status }: { readonly status: Status | null }) {
  const words = useWords();
  const Icon = status === null ? WaitingIcon : ICONS[status];
  const label = status === null ? words.waiting : words.status[status];
  return (
    <span
      className={`tick tick-${status ?? "waiting"}`}
      role="img"
      aria-label={label}
      title={label}
    >
      <Icon size={16} />
    </span>
  );
}
