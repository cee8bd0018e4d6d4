package rpc

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// EdgeCaller is the [Metadata.Caller] of what comes through the public door.
const EdgeCaller = "edge"

// Who says who may call a public method.
type Who int

// The zero value lets nobody in: what has no rule is refused.
const (
	// Anyone is everybody, also who has not signed in.
	Anyone Who = iota + 1
	// SignedIn is everybody who has signed in.
	SignedIn
	// InRole is who has one of [Access.Roles].
	InRole
	// Guest is everybody who has signed in, and guests.
	Guest
)

// GuestPrefix begins the subject of every guest, and of nobody else: of somebody without an account who shows a secret of his own in place
// of a token.
const GuestPrefix = "gst_"

// IsGuest reports whether a subject is a guest.
func IsGuest(subject string) bool { return strings.HasPrefix(subject, GuestPrefix) }

// Access is the rule of a public method, as its contract states it. Internal methods are for the modules that declare the call, and
// operator methods for whoever reaches the operator's port.
type Access struct {
	Who   Who
	Roles []string
	// Scope is what the caller's token must allow besides; empty if nothing.
	Scope string
	// Owned says that the method meets only what belongs to the caller, but for callers with one of the roles in OwnedUnless. The
	// method asks [Owner] whose things those are.
	Owned       bool
	OwnedUnless []string
}

// Allow returns nil if the principal may call the method in the name of a module, or of the edge, and the error that tells the caller
// why not.
func (m *Method) Allow(p Principal, caller string) error {
	if !m.Public {
		if m.SessionCookie != "" && caller != EdgeCaller {
			return Errorf(connect.CodePermissionDenied, "INTERNAL", "%s is for the edge only", m.Name)
		}
		if !m.Operator && m.SessionCookie == "" && (caller == "" || caller == EdgeCaller) {
			return Errorf(connect.CodePermissionDenied, "INTERNAL", "%s is for other modules only", m.Name)
		}
		return nil
	}
	a := m.Access
	if a.Who == Anyone && a.Scope == "" {
		return nil
	}
	if p.Anonymous() || IsGuest(p.Subject) && a.Who != Guest {
		return Errorf(connect.CodeUnauthenticated, "SIGN_IN", "sign in first")
	}
	if IsGuest(p.Subject) { // Nobody has given him roles or scopes.
		return nil
	}
	switch {
	case a.Who == InRole && !p.in(a.Roles):
		return Errorf(connect.CodePermissionDenied, "ROLE", "%s is for callers with the role %s", m.Name, strings.Join(a.Roles, " or "))
	case a.Who < Anyone || a.Who > Guest:
		return Errorf(connect.CodePermissionDenied, "NO_RULE", "nobody may call %s: its contract has no rule", m.Name)
	case a.Scope != "" && !slices.Contains(p.Scopes, a.Scope):
		return Errorf(connect.CodePermissionDenied, "SCOPE", "the token does not allow %s: ask for one with the scope %s", m.Name, a.Scope)
	}
	return nil
}

// in reports whether the principal has one of the roles.
func (p Principal) in(roles []string) bool {
	return slices.ContainsFunc(p.Roles, func(role string) bool { return slices.Contains(roles, role) })
}

// authorize refuses calls that the method's rule does not allow, before anything of the request is looked at.
func (s *Server) authorize(method *Method, next Next) Next {
	return func(ctx context.Context, request proto.Message) (proto.Message, error) {
		c := callOf(ctx)
		if err := method.Allow(c.metadata.Principal, c.metadata.Caller); err != nil {
			return nil, err
		}
		if method.MaxAge > 0 { // One caller's answer may be shown to another, so it cannot depend on who calls.
			c.metadata.Principal = Principal{}
		}
		if !method.Access.Owned {
			return next(ctx, request)
		}
		c.ownerAsked = new(atomic.Bool)
		response, err := next(ctx, request)
		if err == nil && !c.ownerAsked.Load() {
			// What it met may be anybody's. No test of the method passes, so nobody will see this but who forgot it.
			s.log.ErrorContext(ctx, "method answered without asking for the owner", "procedure", method.Procedure)
			return nil, internal()
		}
		return response, err
	}
}

// Owner tells a method with an ownership rule whose things it may meet: those of the subject, or everybody's. What is not among them
// does not exist for the caller. A method with such a rule that answers without having asked fails.
func Owner(ctx context.Context) (subject string, everybodys bool) {
	c := callOf(ctx)
	if c == nil || c.method == nil {
		return "", false
	}
	if c.ownerAsked != nil {
		c.ownerAsked.Store(true)
	}
	return c.metadata.Principal.Subject, c.metadata.Principal.in(c.method.Access.OwnedUnless)
}

// Everything returns a principal who may call every public method of the services.
func Everything(subject string, services []*Service) Principal {
	p := Principal{Subject: subject}
	for _, service := range services {
		for _, method := range service.Methods {
			p.Roles = append(p.Roles, method.Access.Roles...)
			if method.Access.Scope != "" {
				p.Scopes = append(p.Scopes, method.Access.Scope)
			}
		}
	}
	slices.Sort(p.Roles)
	slices.Sort(p.Scopes)
	p.Roles, p.Scopes = slices.Compact(p.Roles), slices.Compact(p.Scopes)
	return p
}
