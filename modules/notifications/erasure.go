package notifications

import "github.com/cleave-go/cleave/platform/person"

// toNobody is what a message is made that was for somebody who is forgotten.
const toNobody = "recipient = '', subject = '', body = '', origin = NULL, state = 'suppressed'"

// holdings are where the module holds something of people. A message stays as what was owed because of an event, to nobody and without a word. It
// comes before its mails, or one that is on its way to the mailbox could come after them, see [mailbox.send]. What was
// written to guests who have got an account since is found by their orders.
var holdings = []person.Holding{{
	Table: "message", Of: "recipient = $1", Email: "id IN (SELECT message_id FROM mail WHERE recipient = $1)",
	Shows:     []string{"id", "template", "channel", "state", "subject", "body", "create_time"},
	Anonymise: toNobody,
}, {
	Table: "mail", Of: "recipient = $1", Email: "recipient = $1", Shows: []string{"subject", "body", "create_time"},
}, {
	Place: "message to a guest", Table: "message", Of: "about = ANY($1) AND starts_with(recipient, 'gst_')", Later: true,
	Anonymise: toNobody,
}, {
	Place: "mail to a guest", Table: "mail", Of: "message_id IN (SELECT id FROM message WHERE about = ANY($1) AND recipient = '')", Later: true,
}}
