package rpc

// Bound returns the bound on the encoded size of what was copied.
func (c *Copier) Bound() int { return c.bytes }

// Problem returns what the wire would refuse in what was copied.
func (c *Copier) Problem() error { return c.problem }
