// Package sandbox is a payment provider that moves no money and behaves as the payment method says. It stands for another company's
// server: plain JSON over HTTP, tables of its own, which begin with sandbox_, and a log of what it was asked and what it did that is
// never changed. What it remembers survives a restart.
//
// There is one implementation and one way to speak to it, HTTP. The payments module calls it in memory, and then its tables lie in the
// module's schema; cmd/sandbox serves it as a process with a database of its own.
//
//	POST /v1/charges                  authorize an [Authorization]
//	POST /v1/charges/{id}/capture     take all of it
//	POST /v1/charges/{id}/void        give it free
//	POST /v1/charges/{id}/refund      return the amount of a [Refund]
//	GET  /v1/operations/{key}         what came of a key
//	GET  /v1/charges?after=&limit=    its log, in the order of ids
//	POST /v1/control                  misbehave as [Control] says
//
// What moves money needs a key in the header Idempotency-Key, under which it happens once. It is answered with an [Answer], also when
// it is refused; a [Failure] is a mistake of whoever asks (4xx) or of the sandbox (5xx).
//
// The package owns how the provider behaves. It does not own what payments makes of that.
package sandbox
