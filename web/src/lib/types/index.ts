/** The wire objects of docs/application-api.md. Times are Unix milliseconds, sizes bytes. */

export * from "./accounts";
export * from "./chats";
export * from "./events";
export * from "./messages";
export * from "./models";
