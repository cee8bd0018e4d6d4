package saga

import "context"

// Recover takes over what is due, as the sweep does.
func (c *Client) Recover(ctx context.Context) error { return c.recover(ctx) }

// Renew keeps the leases, as its sweep does.
func (c *Client) Renew(ctx context.Context) error { return c.renew(ctx) }

// Purge forgets old sagas, as its sweep does.
func (c *Client) Purge(ctx context.Context) error { return c.purge(ctx) }

// Look is what an operator asks the database.
const Look = look
