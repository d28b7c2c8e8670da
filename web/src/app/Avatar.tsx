import { memo } from "react";

/** Initials on a hue that is always the same for this contact. Decoration: the name is beside it. */
export const Avatar = memo(function Avatar({
  id,
  name,
  size = 40,
}: {
  readonly id: string;
  readonly name: string;
  readonly size?: number;
}) {
  return (
    <span
      className="avatar"
      aria-hidden="true"
      style={{ width: size, height: size, fontSize: size * 0.375, "--hue": hueOf(id) } as never}
    >
      {initials(name)}
    </span>
  );
});

/** FNV-1a, spread by the golden angle: ids that differ in one digit get hues far apart. */
function hueOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  return Math.round(((hash >>> 8) * 137.508) % 360);
}

/** The first letters of the first and last word; of a number, its last two digits. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined]
    .map((word) => word?.match(/\p{L}/u)?.[0])
    .filter((letter) => letter !== undefined);
  if (letters.length > 0) return letters.join("").toLocaleUpperCase();
  return name.replace(/\D/g, "").slice(-2) || "?";
}
