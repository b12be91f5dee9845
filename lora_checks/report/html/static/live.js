// A live page polls its server, reloads, and restores its scroll position.
if (DATA.live) {
  const PLACE = `${STATE_KEY} place`;
  try {
    const place = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
    sessionStorage.removeItem(PLACE);
    if (place) {
      for (const [id, open] of Object.entries(place.open)) if (byId(id)) byId(id).open = open;
      requestAnimationFrame(() => scrollTo(0, place.y));
    }
  } catch { /* storage may be off */ }
  const ask = async () => {
    try {
      const answer = await fetch("state", { cache: "no-store" });
      const { version } = await answer.json();
      if (version !== DATA.live.version && !dialog.open) {
        const open = Object.fromEntries([...document.querySelectorAll("details[id]")].map((part) => [part.id, part.open]));
        keep(PLACE, { y: scrollY, open });
        location.reload();
        return;
      }
    } catch { /* the server is gone or busy: ask again */ }
    setTimeout(ask, 2000);
  };
  setTimeout(ask, 2000);
}
