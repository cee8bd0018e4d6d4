package saga

import (
	"context"
	"time"

	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
)

// Operator is what the operator's port serves.
func (c *Client) Operator() sagav1connect.SagaServiceHandler { return operatorService{c} }

// Recover takes over what is due, as the sweep does.
func (c *Client) Recover(ctx context.Context) error { return c.recover(ctx) }

// Renew keeps the leases, as its sweep does.
func (c *Client) Renew(ctx context.Context) error { return c.renew(ctx) }

// Age lets what the client drives look as if it had for longer.
func (c *Client) Age(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.held {
		l.since = l.since.Add(-by)
	}
}

// Purge forgets old sagas, as its sweep does.
func (c *Client) Purge(ctx context.Context) error { return c.purge(ctx) }

// NoFence plants the known mistake.
func (c *Client) NoFence() { c.noFence = true }

// MaxUnwritten is after how many boundaries that cannot be written a person has to look.
const MaxUnwritten = maxUnwritten

// MaxHeld is how many sagas a process has taken over at a time.
const MaxHeld = maxHeld

// Look is what an operator asks the database.
const Look = look

// LookSteps is what a look asks the database.
var LookSteps = lookSteps
