// @vitest-environment node
// What somebody gets who installs the hook: that it renders on a server, and how large it is.

import { gzipSync } from "node:zlib";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { build, type Rolldown } from "vite";
import { describe, expect, it } from "vitest";
import { useWebSocket } from "../../src/useWebSocket";

const GZIP_BYTES_MAX = 5_000;

function Status() {
  const { status, retryIn } = useWebSocket("https://inbox.example.org", {
    token: "t",
    device: "server",
  });
  return createElement("p", null, `${status} ${retryIn}`);
}

describe("the library", () => {
  it("renders on a server: no window, no socket, the state before the start", () => {
    expect(renderToString(createElement(Status))).toBe("<p>stopped null</p>");
  });

  it("is under 5 KB gzipped with its core, and needs nothing but React", async () => {
    const built = (await build({
      configFile: false,
      logLevel: "silent",
      root: new URL("../..", import.meta.url).pathname,
      build: {
        write: false,
        minify: true,
        target: "es2022",
        rollupOptions: {
          input: "src/useWebSocket.ts",
          external: ["react"],
          preserveEntrySignatures: "strict",
        },
      },
    })) as Rolldown.RolldownOutput;
    const chunks = built.output.filter((one) => one.type === "chunk");
    const size = gzipSync(chunks.map(({ code }) => code).join("\n"), { level: 9 }).length;
    expect(chunks.flatMap(({ imports }) => imports)).toEqual(["react"]);
    expect(chunks.flatMap(({ exports }) => exports)).toContain("useWebSocket");
    expect(size).toBeGreaterThan(1_000);
    expect(size).toBeLessThan(GZIP_BYTES_MAX);
  });
});
