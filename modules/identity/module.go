// Package identity knows who people are: their accounts, where they are signed in, and which programs may act for them. It is an OpenID
// Connect provider, with the pages on which people sign in.
//
// It does not own what somebody may do: that is in the contracts of the other modules, and tokens say only roles and scopes. Nor does it
// know what a person has bought or been told: it has orders make what somebody has bought as a guest his, once his address is proven.
package identity

import (
	"embed"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"

	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/modules/identity/internal/ent"
	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

//go:embed migrations/*.sql
var migrations embed.FS

// issuerSetting names the provider.
const issuerSetting = "CLEAVE_IDENTITY_ISSUER"

// Module is the identity module.
var Module = module.Module{
	Name:  "identity",
	Owner: "cleave",
	Serves: []*rpc.Service{
		identityv1cleave.AccountService, identityv1cleave.AddressService, identityv1cleave.SessionService, identityv1cleave.ClientService, identityv1cleave.DeskService, identityv1cleave.KeyService, identityv1cleave.MailService, identityv1cleave.WebService, identityv1cleave.BrowserService,
	},
	Calls: []*rpc.Service{ordersv1cleave.GuestService},
	Settings: []config.Setting{{
		Name: issuerSetting, Default: "http://127.0.0.1:8080",
		Help: "URL of the public port as people and apps know it, without a slash at the end: the issuer and the audience of the tokens. Behind TLS it must be the https:// URL, or cookies go without Secure and links in mails lead nowhere", Check: checkIssuer,
	}, {
		Name: keySetting, Help: "keys of 32 bytes in base64, one on each line, to encrypt the signing keys in the database with: the first encrypts, all decrypt; without any, or with plain as the first line, they are kept as they are",
		Check: func(text string) error { _, err := openVault(text); return err },
	}},
	Holds:      holdings,
	Migrations: migrations,
	Build:      build,
}

// checkIssuer says what is wrong with the URL of the provider. Its endpoints are below it, at paths that begin at the root.
func checkIssuer(url string) error {
	if err := auth.CheckIssuer(url); err != nil {
		return err
	}
	if _, rest, _ := strings.Cut(url, "://"); strings.Contains(rest, "/") {
		return fmt.Errorf("has a path or a slash at the end: name only the host, like https://shop.example")
	}
	return nil
}

func build(host *module.Host) ([]rpc.Handler, error) {
	vault, err := openVault(host.Config.String(keySetting))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keySetting, err)
	}
	s := &service{
		store:  db.NewStore(host.DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) }),
		log:    host.Log,
		events: host.Events,
		people: host.People,
		jobs:   host.Jobs,
		orders: ordersv1cleave.NewGuestServiceClient(host.Calls),
		issuer: host.Config.String(issuerSetting),
		hasher: newHasher(),
		vault:  vault,
	}
	job.Handle(host.Jobs, s.claim)
	host.Jobs.Every("identity.rotate_keys", rotateEvery, s.rotateKeys)
	host.Jobs.Every("identity.purge", purgeEvery, s.purge)
	return []rpc.Handler{
		identityv1cleave.NewAccountServiceHandler(s),
		identityv1cleave.NewAddressServiceHandler(addresses{s}),
		identityv1cleave.NewSessionServiceHandler(sessions{s}),
		identityv1cleave.NewClientServiceHandler(clients{s}),
		identityv1cleave.NewDeskServiceHandler(desk{s}),
		identityv1cleave.NewKeyServiceHandler(keyring{s}),
		identityv1cleave.NewMailServiceHandler(mails{s}),
		identityv1cleave.NewWebServiceHandler(newWeb(s)),
		identityv1cleave.NewBrowserServiceHandler(browsers{s}),
	}, nil
}
