package app

import (
	"fmt"
	"net"
	"slices"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/edge"
)

// The settings that say what the public port lets its callers do.
const (
	rateLimit          = "CLEAVE_RATE_LIMIT"
	anonymousRateLimit = "CLEAVE_ANONYMOUS_RATE_LIMIT"
	busyAt             = "CLEAVE_BUSY_AT"
	trustedProxies     = "CLEAVE_TRUSTED_PROXIES"
	corsOrigins        = "CLEAVE_CORS_ORIGINS"
)

func doorSettings() []config.Setting {
	return []config.Setting{
		{Name: rateLimit, Default: "50", Help: "requests a second of each user, and twice as many at once; 0: any number, as for the development user", Check: config.IsInt(0, 1_000_000)},
		{Name: anonymousRateLimit, Default: "100", Help: "the same for each address of callers who have not signed in", Check: config.IsInt(0, 1_000_000)},
		{Name: busyAt, Default: "0", Help: "requests at once from which those that can wait are refused; 0: 64 for each processor", Check: config.IsInt(0, 4096)},
		{Name: trustedProxies, Help: "networks of the proxies before the edge, 10.0.0.0/8,…; their X-Forwarded-For is believed", Check: func(value string) error {
			_, err := edge.ParseProxies(value)
			return err
		}},
		{Name: corsOrigins, Help: "origins of the web pages that may call from elsewhere, https://shop.example,…; * for all", Check: func(value string) error {
			_, err := edge.ParseOrigins(value)
			return err
		}},
	}
}

// guard tells the edge what its callers may do.
func (u *unit) guard(listener net.Listener, c *edge.Config) {
	c.Proxies, _ = edge.ParseProxies(u.values.String(trustedProxies)) // Checked by the settings.
	c.Origins, _ = edge.ParseOrigins(u.values.String(corsOrigins))
	c.Busy = u.values.Int(busyAt)
	c.Rate, c.AnonymousRate = u.values.Int(rateLimit), u.values.Int(anonymousRateLimit)
	// Everything on a laptop is one user, load tests too.
	if u.development(listener) && !u.values.IsSet(rateLimit) {
		c.Rate = 0
	}
}

// checkOrigins says which pages would act in the name of somebody who has not let them.
func (u *unit) checkOrigins(listener net.Listener) error {
	if listener == nil || !u.development(listener) {
		return nil
	}
	origins, err := edge.ParseOrigins(u.values.String(corsOrigins))
	if slices.Contains(origins, "*") {
		return fmt.Errorf("%s is *, and nobody has to sign in here: every web page in a browser of this machine could act as the development user: name the origins", corsOrigins)
	}
	return err
}
