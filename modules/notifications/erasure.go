package notifications

import "github.com/cleave-go/cleave/platform/person"

// holdings are where the module holds something of people. A message stays as what was owed because of an event, to nobody and without a word. It
// comes before its mails, or one that is on its way to the mailbox could come after them, see [mailbox.send].
var holdings = []person.Holding{{
	Table: "message", Of: "recipient = $1", Email: "id IN (SELECT message_id FROM mail WHERE recipient = $1)",
	Shows:     []string{"id", "template", "channel", "state", "subject", "body", "create_time"},
	Anonymise: "recipient = '', subject = '', body = '', origin = NULL, state = 'suppressed'",
}, {
	Table: "mail", Of: "recipient = $1", Email: "recipient = $1", Shows: []string{"subject", "body", "create_time"},
}}
