import type { ReactNode } from "react";

/** A titled table of the operations page, or what stands in its place. */
export function OperationsTable({
  name,
  title,
  columns,
  empty,
  children,
}: {
  /** Which one it is, for the sheet: on a phone it has fewer columns. */
  readonly name: "online" | "parked";
  readonly title: string;
  readonly columns: readonly string[];
  /** What stands in the place of no rows; null where there are rows. */
  readonly empty: string | null;
  readonly children: ReactNode;
}) {
  return (
    <section className="operations-part" aria-label={title}>
      <h3>{title}</h3>
      {empty === null ? (
        <table className={name}>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      ) : (
        <p className="meta">{empty}</p>
      )}
    </section>
  );
}
