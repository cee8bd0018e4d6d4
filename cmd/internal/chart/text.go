package chart

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Text prints the chart for people.
func (c *Chart) Text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	c.textModules(w)
	c.textCalls(w)
	fmt.Fprintln(w, "\nPUBLISHER\tSUBSCRIBER\tEVENTS")
	for _, e := range c.Events {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Publisher, e.Subscriber, strings.Join(e.Types, " "))
	}
	c.textUnits(w)
	return w.Flush()
}

func (c *Chart) textModules(w io.Writer) {
	fmt.Fprintln(w, "MODULE\tOWNER\tSERVICE\tPUBLIC\tINTERNAL\tOPERATOR")
	for _, m := range c.Modules {
		name, owner := m.Name, or(m.Owner, "-")
		if len(m.Services) == 0 {
			fmt.Fprintf(w, "%s\t%s\t-\t-\t-\t-\n", name, owner)
		}
		for _, s := range m.Services {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, owner, short(s.Name), count(s.Public), count(s.Internal), count(s.Operator))
			name, owner = "", ""
		}
	}
}

// textCalls prints the calls, each once for every asked unit that makes it.
func (c *Chart) textCalls(w io.Writer) {
	asked := slices.ContainsFunc(c.Units, func(u Unit) bool { return u.URL != "" })
	fmt.Fprint(w, "\nCALLER\tMODULE\tSERVICE")
	if !asked {
		fmt.Fprintln(w)
		for _, call := range c.Calls {
			fmt.Fprintf(w, "%s\t%s\t%s\n", call.Caller, call.Module, short(call.Service))
		}
		return
	}
	fmt.Fprintln(w, "\tFROM\tDEADLINE\tATTEMPTS\tBREAKER\tIN FLIGHT\tAT")
	for _, call := range c.Calls {
		if !slices.ContainsFunc(c.Units, func(u Unit) bool { return slices.Contains(u.Holds, call.Caller) }) {
			fmt.Fprintf(w, "%s\t%s\t%s\t-\t-\t-\t-\t-\t-\n", call.Caller, call.Module, short(call.Service))
		}
		for _, u := range c.Units {
			if !slices.Contains(u.Holds, call.Caller) {
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t", call.Caller, call.Module, short(call.Service), u.URL)
			switch direct, peer := u.way(call); {
			case direct:
				fmt.Fprintln(w, "-\t-\t-\t-\tin process")
			case peer != nil:
				fmt.Fprintf(w, "%s\t%d\t%s\t%d of %d\t%s\n", peer.Policy.Timeout, peer.Policy.Attempts, peer.Breaker, peer.InFlight, peer.Policy.CallsAtOnce, addresses(peer.Addresses))
			case u.Peers != nil: // Another release may call what the map of this one does not have, and the reverse.
				fmt.Fprintln(w, "-\t-\t-\t-\tanother unit")
			default:
				fmt.Fprintln(w, "?\t?\t?\t?\t?")
			}
		}
	}
}

func (c *Chart) textUnits(w io.Writer) {
	if len(c.Units) == 0 {
		return
	}
	fmt.Fprintln(w, "\nUNIT\tHOLDS\tREADY")
	for _, u := range c.Units {
		ready := "yes"
		switch {
		case u.URL == "":
			ready = "-"
		case !u.Ready:
			ready = "no: " + u.Problem
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", or(u.Name, u.URL), or(strings.Join(u.Holds, " "), "?"), ready)
	}
}

func addresses(all []Address) string {
	var said []string
	for _, a := range all {
		if a.Up {
			said = append(said, a.URL)
		} else {
			said = append(said, a.URL+" (down)")
		}
	}
	return or(strings.Join(said, " "), "-")
}

// count returns how many there are, "-" for none.
func count(methods []string) string {
	if len(methods) == 0 {
		return "-"
	}
	return fmt.Sprint(len(methods))
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
