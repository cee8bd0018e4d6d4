package orders

import "context"

// resumeCheckout sees an order through whose process was killed, or whose steps kept failing. It is owed since the order was placed
// or its cancellation asked for; most often there is nothing left to do.
type resumeCheckout struct {
	OrderID string `json:"order_id"`
}

func (resumeCheckout) Kind() string { return "orders.resume_checkout" }

func (s *service) resumeCheckout(ctx context.Context, job resumeCheckout) error {
	return s.checkout.drive(ctx, job.OrderID)
}
