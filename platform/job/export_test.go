package job

import "context"

// Tend does at once what a client does every few seconds.
func (c *Client) Tend(ctx context.Context) error { return c.tend(ctx) }

// LookStates is what a look asks the database.
var LookStates = lookStates
