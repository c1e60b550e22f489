/** The message that a search led to, and what was searched for: its words are marked there. */

class Sought {
  hit = $state.raw<{ message: string; query: string } | null>(null);
}

export const sought = new Sought();
