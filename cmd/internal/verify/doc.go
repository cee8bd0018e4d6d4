// Package verify proves that nothing was lost, charged twice or left behind: it reads what the modules have written down (their facts,
// over the operators' ports), what the payment provider says, and compares.
//
// It owns the comparison and the words in which a violation is told. It does not own the facts: a module recomputes its own figures
// behind its own door, and nobody here knows a table.
//
// # Looks
//
// There is no snapshot over several databases, so two facts of one look may be of two moments. A violation counts only if it is seen in
// every look of a grace period: [Run] looks again each second at what seems wrong, until it is gone or its grace is over.
//
// # Memory
//
// Facts come as streams and are forgotten when they have been looked at. What other facts have to be compared with by another key than
// the one that they are ordered by is held: an entry an order (what it is, and the sums of what was charged and reserved for it), one a
// payment until the provider's log names its charge, and one a message: together some hundred bytes an order. The log of a publisher
// and the inbox of a subscriber are ordered alike, and merged without holding either.
package verify
