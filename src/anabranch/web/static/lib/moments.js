// Moments in the time of whoever looks. The server writes them in UTC, which is all that it knows.

const READ = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

/** Write all moments below an element that nothing else fills. */
export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-text])")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = READ.format(moment);
      time.title = time.dateTime;
    }
  }
}
