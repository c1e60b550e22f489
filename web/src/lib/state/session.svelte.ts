/** Who is signed in at this browser: how that begins, is interrupted, goes on and ends. */

import { api, ApiError, explain, NetworkError, speakFor } from "../api";
import { gate } from "../gate";
import { kept } from "../kept";
import { belongTo, forget } from "../storage";
import { strings } from "../strings";
import { isReady, type ReadySession, type Session, type User } from "../types";
import { toasts } from "./toasts.svelte";

const RETRY_START_MS = 3000;

/** The tabs of one browser share what it is signed in as, and tell each other when that changes. */
const tabs = new BroadcastChannel("myna");
type Word = "changed" | "left";

/** What of the page depends on who is there. */
export interface Dependent {
  /** Somebody is there: their things are fetched. */
  begin(session: ReadySession): Promise<void>;
  /** The session ended: nothing more is told to this page. */
  pause(): void;
  /** The same person is back. */
  resume(): void;
}

export class SessionState {
  /** Null until the server, or what it told an earlier page, has said who is there. */
  current = $state.raw<Session | null>(null);
  /** The session ended while the page was in use: it stays as it is, and goes on when its user is back. */
  locked = $state(false);
  startError = $state<string | null>(null);
  #starting = false;

  constructor(private readonly page: Dependent) {
    gate.whenClosed(() => void this.#notSignedIn());
    gate.whenRefused(() => void this.check());
    tabs.onmessage = ({ data }: MessageEvent<Word>) => (data === "left" ? this.#forgetAndStartAnew() : void this.check());
    // The browser may keep a page that was left, and show it again to somebody else.
    window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  /** Whose page this is; null until somebody is known to be there. */
  get user(): User | null {
    return this.current?.user ?? null;
  }

  /** Fetches the session, and if that is somebody's, everything else. */
  async start(): Promise<void> {
    if (this.#starting || this.current) return;
    this.#starting = true;
    try {
      const session = await api.session();
      this.startError = null;
      if (isReady(session)) return await this.#begin(session);
      this.current = session;
      await kept.clear();
    } catch (error) {
      const earlier = error instanceof NetworkError ? await kept.session<ReadySession>() : null;
      if (earlier !== null) return await this.#begin(earlier);
      this.startError = explain(error);
      setTimeout(() => void this.start(), RETRY_START_MS);
    } finally {
      this.#starting = false;
    }
  }

  /** What signing in and making the first account answer: the page begins, or goes on. */
  async signedIn(session: Session): Promise<void> {
    tabs.postMessage("changed" satisfies Word);
    await this.#became(session);
  }

  /** Signs out in this browser. What was typed in it and not sent goes too: the next person shall not find it. */
  async signOut(): Promise<void> {
    try {
      await api.signOut();
    } catch (error) {
      // Who is signed out already has what was asked for.
      if (!(error instanceof ApiError) || error.status !== 401) return toasts.show(explain(error), "error");
    }
    tabs.postMessage("left" satisfies Word);
    this.#forgetAndStartAnew();
  }

  /** Ends the session, so that its user shows once more who they are; the page goes on where it is then. */
  async signInAgain(): Promise<void> {
    await api.signOut();
    await this.check();
  }

  /** The account is deleted, and this browser forgets what it has of it. */
  left(): void {
    tabs.postMessage("left" satisfies Word);
    this.#forgetAndStartAnew();
  }

  /** Asks anew who is there, since something says that this may have changed. */
  async check(): Promise<void> {
    try {
      await this.#became(await api.session());
    } catch {
      // Without the server nothing is known; its coming back is noticed.
    }
  }

  async #became(session: Session): Promise<void> {
    const before = this.user;
    if (!isReady(session)) {
      if (before === null) this.current = session;
      else if (session.state === "sign_in") this.#lock();
      else this.#startAnew();
    } else if (before === null) {
      await this.#begin(session);
    } else if (before.id !== session.user.id) {
      this.#startAnew();
    } else {
      if (before.role !== session.user.role) toasts.show(strings.account.refusedNow);
      this.current = session;
      this.locked = false;
      kept.begin(session.user.id, session);
      this.page.resume();
      gate.open();
    }
  }

  async #begin(session: ReadySession): Promise<void> {
    // Another tab's word and this page's own question may be answered so at once: what is unsent is sent by one of them.
    if (this.user !== null) return;
    // The server sends who opens its reference without a session here first.
    const then = new URLSearchParams(location.search).get("then");
    if (then !== null && /^\/docs(?:\/\w*)?$/.test(then)) return location.replace(then + location.hash);
    belongTo(session.user.id);
    speakFor(session.user.id);
    this.current = session;
    kept.begin(session.user.id, session);
    await this.page.begin(session);
  }

  /** A request was not answered for want of a session; or its user may now do less, and is still signed in. */
  async #notSignedIn(): Promise<void> {
    await this.check();
    if (gate.closed) this.#lock();
  }

  /** What was typed stays for its user; what the server told goes at once, for who was signed out may be gone for good. */
  #lock(): void {
    this.locked = true;
    void kept.clear();
    this.page.pause();
  }

  #forgetAndStartAnew(): void {
    forget();
    void kept.forget().then(() => this.#startAnew());
  }

  /** Somebody else: nothing that is on this page or in its memory is theirs. */
  #startAnew(): void {
    location.replace("/");
  }
}
