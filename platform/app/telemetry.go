package app

import (
	"context"
	"strings"

	"github.com/cleave-go/cleave/platform/telemetry"
)

// openTelemetry begins to send what the unit tells of itself. It is the first to begin and the last to end.
func (u *unit) openTelemetry(ctx context.Context) error {
	var err error
	if u.telemetry, err = telemetry.Start(ctx, u.values, u.serviceName(), u.metrics, u.log); err != nil {
		return err
	}
	u.onStop(u.telemetry.Stop)
	u.log = u.telemetry.Log(u.log)
	return nil
}

// serviceName is what the unit is called: after its modules, with dashes as in its certificate, unless that is too long for a picture.
func (u *unit) serviceName() string {
	if len(u.Modules) > 3 {
		return "cleave"
	}
	return strings.ReplaceAll(u.contents(), ", ", "-")
}
