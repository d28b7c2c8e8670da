// 20 px, strokes of 1.5 px. Decoration: the words stand beside them, or in the button's label.

import type { ReactNode } from "react";

interface IconProps {
  readonly size?: number;
}

function Svg({ size = 20, children }: IconProps & { readonly children: ReactNode }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

export const SearchIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="9" cy="9" r="5.25" />
    <path d="m13 13 3.75 3.75" />
  </Svg>
);
export const SyncIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M16.2 8.5A6.5 6.5 0 0 0 4.6 6.2L3 8m.8 3.5a6.5 6.5 0 0 0 11.6 2.3L17 12M3 4v4h4m10 8v-4h-4" />
  </Svg>
);
export const CopyIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="7" y="7" width="9.5" height="9.5" rx="2" />
    <path d="M13 7V5.5a2 2 0 0 0-2-2H5.5a2 2 0 0 0-2 2V11a2 2 0 0 0 2 2H7" />
  </Svg>
);
/** Stations on a line. */
export const TraceIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M6 6.5v7M9.5 5H17m-7.5 10H14" />
    <circle cx="6" cy="5" r="1.75" />
    <circle cx="6" cy="15" r="1.75" />
  </Svg>
);
export const ScreenIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="2.75" y="3.75" width="14.5" height="9.5" rx="2" />
    <path d="M7 16.75h6m-3-3.5v3.5" />
  </Svg>
);
export const BackIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m12 4.5-5.5 5.5 5.5 5.5" />
  </Svg>
);
export const CloseIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m5.5 5.5 9 9m0-9-9 9" />
  </Svg>
);
export const DownIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M10 4v12m-5-5 5 5 5-5" />
  </Svg>
);
export const DetailsIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="3" y="4" width="14" height="12" rx="2" />
    <path d="M12.5 4v12" />
  </Svg>
);
export const PersonIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="7" r="3.25" />
    <path d="M3.75 16.5c.9-3 3.3-4.5 6.25-4.5s5.35 1.5 6.25 4.5" />
  </Svg>
);
export const HistoryIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M4 10a6.25 6.25 0 1 0 2-4.6L4 7.25M4 3.5v3.75h3.75M10 6.75V10l2.25 1.5" />
  </Svg>
);
export const SealIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="8" r="5" />
    <path d="m7.75 8 1.5 1.5 3-3M7 12.5 6 17.5l4-2 4 2-1-5" />
  </Svg>
);
export const CableIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M6 3v4M10 3v4M4.5 7h7v2.5a3.5 3.5 0 0 1-7 0V7ZM8 13v1.5A2.5 2.5 0 0 0 10.5 17h2a2.5 2.5 0 0 0 2.5-2.5V11" />
  </Svg>
);
export const PhotoIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="3" y="4" width="14" height="12" rx="2" />
    <circle cx="7.25" cy="8" r="1.25" />
    <path d="m3.5 14.5 4-3.5 2.5 2 3-3 3.5 3.5" />
  </Svg>
);
export const VideoIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="2.5" y="5" width="10" height="10" rx="2" />
    <path d="m12.5 9 5-2.5v7l-5-2.5" />
  </Svg>
);
export const AudioIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="7.5" y="2.5" width="5" height="9" rx="2.5" />
    <path d="M4.5 9.5a5.5 5.5 0 0 0 11 0M10 15v2.5" />
  </Svg>
);
export const DocumentIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M5 2.75h6.5l3.5 3.5v11H5v-14.5Zm6.5 0v3.5H15M7.5 10.5h5m-5 3h5" />
  </Svg>
);
export const StickerIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M5 3.5h10A1.5 1.5 0 0 1 16.5 5v6.5l-5 5H5A1.5 1.5 0 0 1 3.5 15V5A1.5 1.5 0 0 1 5 3.5Zm6.5 13v-3.5a1.5 1.5 0 0 1 1.5-1.5h3.5M7.5 8.5v.01m5 0v.01" />
  </Svg>
);
export const PlaceIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M10 17.5s5.5-4.6 5.5-9a5.5 5.5 0 0 0-11 0c0 4.4 5.5 9 5.5 9Z" />
    <circle cx="10" cy="8.5" r="2" />
  </Svg>
);
export const OrderIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="M4.5 7h11l-.8 9.5H5.3L4.5 7Zm3 2V5.5a2.5 2.5 0 0 1 5 0V9" />
  </Svg>
);
export const ChoiceIcon = (props: IconProps) => (
  <Svg {...props}>
    <rect x="3" y="5.5" width="14" height="9" rx="2.5" />
    <path d="m7.5 10 2 2 3.5-3.5" />
  </Svg>
);
export const EventIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m11 2.75-6 8.5h4.5L9 17.25l6-8.5h-4.5l.5-6Z" />
  </Svg>
);
export const UnknownIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="10" r="7" />
    <path d="M8 8a2 2 0 1 1 2.7 1.9c-.5.2-.7.5-.7 1.1m0 2.5v.01" />
  </Svg>
);
export const NoticeIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="10" r="7" />
    <path d="M10 9v4.5M10 6.5v.01" />
  </Svg>
);
export const ForwardIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m11.5 4.5 5 5-5 5m5-5H9a5.5 5.5 0 0 0-5.5 5.5v.5" />
  </Svg>
);

export const SentIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m4.5 10.5 3.5 3.5 7.5-8" />
  </Svg>
);
export const DeliveredIcon = (props: IconProps) => (
  <Svg {...props}>
    <path d="m2 10.5 3.5 3.5 7.5-8m-3.5 7.5.5.5 7.5-8" />
  </Svg>
);
export const FailedIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="10" r="6.5" />
    <path d="M10 6.5v4m0 2.75v.01" />
  </Svg>
);
export const WaitingIcon = (props: IconProps) => (
  <Svg {...props}>
    <circle cx="10" cy="10" r="6.5" />
    <path d="M10 6.5V10l2.25 1.75" />
  </Svg>
);

// The connection's marks: a shape for each state, so that colour says nothing alone.
export const LiveMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12">
    <circle cx="6" cy="6" r="4.5" fill="currentColor" />
  </svg>
);
export const SlowMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12" fill="none">
    <circle cx="6" cy="6" r="4.5" stroke="currentColor" strokeWidth="1.5" />
    <path d="M6 1.5a4.5 4.5 0 0 0 0 9Z" fill="currentColor" />
  </svg>
);
export const OpenMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12" fill="none">
    <circle cx="6" cy="6" r="4.5" stroke="currentColor" strokeWidth="1.5" />
  </svg>
);
export const CatchingUpMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12" fill="none">
    <path
      d="M10.5 6a4.5 4.5 0 1 1-1.6-3.45M9.2.8v2h-2"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
    />
  </svg>
);
export const CrossMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12" fill="none">
    <path d="m2.5 2.5 7 7m0-7-7 7" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round" />
  </svg>
);
export const StopMark = () => (
  <svg aria-hidden="true" width="12" height="12" viewBox="0 0 12 12" fill="none">
    <path d="M6 1.5v5.5m0 3v.01" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
  </svg>
);

/** The product's mark: a pouch with its seal. */
export function Mark() {
  return (
    <svg aria-hidden="true" width="24" height="24" viewBox="0 0 24 24" fill="none">
      <path
        d="M5 8.5h14l1 9a2.5 2.5 0 0 1-2.5 2.75h-11A2.5 2.5 0 0 1 4 17.5l1-9Z"
        fill="var(--accent)"
      />
      <path
        d="M8 8.5C8 5.5 9.5 3.75 12 3.75s4 1.75 4 4.75"
        stroke="var(--accent)"
        strokeWidth="2"
        strokeLinecap="round"
      />
      <path
        d="m8.25 14 2.6 2.6 5-5.2"
        stroke="var(--on-accent)"
        strokeWidth="2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
