import type { Status } from "../../model";
import type { en } from "./en";

export type ConversationStatus = Status;
export type Words = typeof en;
