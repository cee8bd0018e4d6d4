package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/rpc"
)

// certs is what the command line says about certificates.
type certs struct {
	dir, trustDomain  string
	units, hosts      []string
	days              int
	renew, newCA      bool
	dropOldCA, asJSON bool
}

// certsCommand makes certificates for a laptop.
func certsCommand() *cobra.Command {
	var c certs
	command := &cobra.Command{
		Use:   "certs",
		Short: "Make an authority and certificates for units on a laptop",
		Long: `Makes an authority for development, and a certificate that it signs for each module of the house, for the edge, and for the
public port on this machine. What is there already is kept until it expires, so it may be repeated, for instance for one more unit
or host.

A unit that holds several modules is named after them, with dashes between: --unit orders-payments. Running units read their
files again when they change, so nothing has to be restarted:

  cleave certs --renew         new certificates from the same authority

  cleave certs --new-ca        another authority, which is trusted beside the old one; then, when all units have read it,
  cleave certs --renew         new certificates from it; then, when all units have read theirs,
  cleave certs --drop-old-ca   the old authority is trusted no more

The key of the authority lies in the same folder: whoever reads it can be any unit. In production let cert-manager, SPIRE or the
like sign, see docs/guides/tls.md.`,
		Example: `  cleave certs
  cleave certs --unit orders-payments --days 7
  cleave certs --host shop.test --dir /tmp/certs --json | jq -r .cert`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.OutOrStdout()) },
	}
	flags := command.Flags()
	flags.StringVar(&c.dir, "dir", "./.cleave/certs", "folder of the certificates")
	flags.StringSliceVar(&c.units, "unit", nil, "one more unit, named after its modules or as the map says, see CLEAVE_MAP_FILE; may be repeated")
	flags.StringSliceVar(&c.hosts, "host", nil, "one more name or address of the public port; may be repeated")
	flags.StringVar(&c.trustDomain, "trust-domain", cmp.Or(os.Getenv("CLEAVE_TRUST_DOMAIN"), "cleave"), "trust domain of the units, also by CLEAVE_TRUST_DOMAIN")
	flags.IntVar(&c.days, "days", 30, "for how many days the certificates are valid")
	flags.BoolVar(&c.renew, "renew", false, "replace the certificates that are there, and keep the authority")
	flags.BoolVar(&c.newCA, "new-ca", false, "make another authority, trusted beside the one that is there")
	flags.BoolVar(&c.dropOldCA, "drop-old-ca", false, "trust the newest authority only")
	flags.BoolVar(&c.asJSON, "json", false, "print JSON, an object a line")
	command.MarkFlagsMutuallyExclusive("renew", "new-ca", "drop-old-ca")
	return command
}

// run does what the command line says, and prints what there is then.
func (c *certs) run(out io.Writer) error {
	units, err := c.check()
	if err != nil {
		return err
	}
	folder, err := openCertFolder(c.dir)
	switch {
	case err != nil:
		return err
	case folder.authority == nil && (c.renew || c.newCA || c.dropOldCA):
		return fmt.Errorf("there is no authority in %s yet: run cleave certs first, or name another folder with --dir", c.dir)
	case folder.authority == nil || c.newCA:
		err = folder.addAuthority()
	case c.dropOldCA:
		err = folder.dropOld()
	}
	if err != nil {
		return err
	}
	there, err := folder.units()
	if err != nil {
		return err
	}
	for _, unit := range there {
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	validity := time.Duration(c.days) * 24 * time.Hour
	var all []certFiles
	for _, unit := range units {
		files, err := folder.unit(mtls.ID{TrustDomain: c.trustDomain, Unit: unit}, validity, c.renew)
		if err != nil {
			return err
		}
		all = append(all, files)
	}
	public, err := folder.public(append([]string{"localhost", "127.0.0.1", "::1"}, c.hosts...), validity, c.renew)
	if err != nil {
		return err
	}
	return c.print(out, append(all, public))
}

// check returns the units, or what is wrong with the flags.
func (c *certs) check() ([]string, error) {
	if c.days < 1 || c.days > 3650 {
		return nil, errors.New("--days is a number from 1 to 3650")
	}
	if err := mtls.CheckTrustDomain(c.trustDomain); err != nil {
		return nil, err
	}
	m, err := module.ReadMap(house.Map)
	if err != nil {
		return nil, err
	}
	known := append(m.Names(), rpc.EdgeCaller)
	units := slices.Clone(known)
	for _, unit := range c.units {
		_, named := m.Units[unit]
		for part := range strings.SplitSeq(unit, "-") {
			if !named && !slices.Contains(known, part) {
				return nil, fmt.Errorf("the unit %s holds %q, which is no module: there are %s; or name the unit in the units of the map, see CLEAVE_MAP_FILE", unit, part, strings.Join(known, ", "))
			}
		}
		if err := mtls.CheckUnit(unit); err != nil {
			return nil, err
		}
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	return units, nil
}

// print prints the certificates and how they are used.
func (c *certs) print(out io.Writer, all []certFiles) error {
	if c.asJSON {
		encoder := json.NewEncoder(out)
		for _, files := range all {
			if err := encoder.Encode(files); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "UNIT\tNAMES\tVALID UNTIL\tFOLDER\t")
	for _, files := range all {
		made := ""
		if files.Made {
			made = "new"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", files.Unit, strings.Join(files.Names, " "), files.NotAfter.Local().Format("2006-01-02 15:04"), files.folder, made)
	}
	w.Flush()
	unit, public := all[0], all[len(all)-1]
	_, err := fmt.Fprintf(out, `
Settings of a unit, here of %s:
  CLEAVE_TLS_CERT_FILE=%s
  CLEAVE_TLS_KEY_FILE=%s
  CLEAVE_TLS_CA_FILE=%s
Settings of the public port, and of those who call it:
  CLEAVE_PUBLIC_TLS_CERT_FILE=%s
  CLEAVE_PUBLIC_TLS_KEY_FILE=%s
  SSL_CERT_FILE=%s
`, unit.Unit, unit.Cert, unit.Key, unit.CA, public.Cert, public.Key, filepath.Join(c.dir, "ca.crt"))
	return err
}
