// Package event tells other modules what has happened.
//
// A module publishes a fact in the transaction that made it true: [Events.Publish] appends one row to the module's log, however many
// listen. A module that wants to know says so in its module.go ([Subscription]) and handles what it listens to with [Handle]. Between
// the two lies the seam: log and listener may live in one process or in two, on one server or on two.
//
// # The log
//
// The order of the log is (era, transaction, position). A transaction gets its id when it first writes and commits later, so an event
// may appear behind others that can be read already. Therefore nobody reads past the oldest transaction of the server that is still
// writing (pg_snapshot_xmin): behind it nothing can appear any more. A transaction that writes for long holds up delivery, not
// publishing. Eras are there for data that are moved to another server, whose transaction ids begin anew (platform/db).
//
// # Delivery
//
// A subscription is a row beside the log: what a module listens to, and how far it has got. A worker for each hands over batches in
// the order of the log, in one process at a time: under a lease on database time, with a fence without which the cursor does not move.
// It begins right after a commit in its own process, and at latest a second after one elsewhere. Nobody waits for somebody else's
// subscription.
//
// A subscriber that cannot be reached keeps its cursor, and is tried again with growing pauses. An event that its handler refuses is
// tried again by itself as a job (about a day long, then it is kept, listed and can be retried), and the others go on.
//
// # What a listener may rely on
//
//   - Every event that commits after its subscription was answered is delivered; with [Beginning] every event of the log.
//   - Each is applied once: the handler's effects commit together with a row in the inbox, which knows the event from then on.
//   - The order is that of the log except for events that were refused and for replays. Two transactions that write the same subject
//     one after the other may still have begun in the other order. So a listener that cares compares (subject, sequence).
//
// The inbox is kept for as long as the log, because any part of the log may be replayed.
//
// # What an event must not hold
//
// The log only grows and nothing in it can be changed, so an event holds no personal data: no name, no address, no mail, nothing that
// somebody may ask to be forgotten. It names a subject, and who needs more asks the module that owns it. The text of an error that a
// handler returns is kept with the failure, and follows the same rule.
//
// The package owns the way from one module's commit to another's. It does not own what events mean (contracts) or what follows from
// them (modules).
package event
