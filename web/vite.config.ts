import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const SERVER = process.env.MALOTE_DEV_SERVER ?? "http://127.0.0.1:8080";
// Served by our own server under `default-src 'self'`: nothing inline, no data: URL.
const app = {
  outDir: "../api/static",
  emptyOutDir: true,
  assetsInlineLimit: 0,
  modulePreload: { polyfill: false },
  target: "es2022",
};
const library = {
  lib: {
    entry: { useWebSocket: "src/useWebSocket.ts", connection: "src/connection.ts" },
    formats: ["es" as const],
  },
  rollupOptions: { external: ["react"] },
  target: "es2022",
};

export default defineConfig(({ mode }) => ({
  plugins: [react()],
  build: mode === "library" ? library : app,
  server: {
    proxy: {
      "/v1": { target: SERVER, ws: true },
      "/webhooks": { target: SERVER },
    },
  },
  test: {
    environment: "jsdom",
    include: ["test/**/*.test.{ts,tsx}"],
    restoreMocks: true,
  },
}));
