package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// generateAccess writes who may call a method.
func generateAccess(g *protogen.GeneratedFile, service *protogen.Service, method *protogen.Method) error {
	a := access(method)
	if err := checkAccess(a); err != nil {
		return fmt.Errorf("%s: %w", method.Desc.FullName(), err)
	}
	if isOperator(method) != isOperator(service.Methods[0]) {
		return fmt.Errorf("%s: all methods of a service are for the operator, or none is", service.Desc.FullName())
	}
	if isOperator(method) {
		g.P("Operator: true,")
	}
	if a.GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC {
		return nil
	}
	who := map[platformv1.Who]string{platformv1.Who_WHO_ANYONE: "Anyone", platformv1.Who_WHO_SIGNED_IN: "SignedIn", platformv1.Who_WHO_ROLE: "InRole", platformv1.Who_WHO_GUEST: "Guest"}[a.GetWho()]
	g.P("Public: true,")
	g.P("Access: ", rpcPackage.Ident("Access"), "{")
	g.P("Who: ", rpcPackage.Ident(who), ",")
	if len(a.GetRoles()) > 0 {
		g.P("Roles: ", fmt.Sprintf("%#v", a.GetRoles()), ",")
	}
	if a.GetScope() != "" {
		g.P("Scope: ", fmt.Sprintf("%q", a.GetScope()), ",")
	}
	if a.GetOwnership() != nil {
		g.P("Owned: true,")
	}
	if roles := a.GetOwnership().GetUnlessRoles(); len(roles) > 0 {
		g.P("OwnedUnless: ", fmt.Sprintf("%#v", roles), ",")
	}
	g.P("},")
	return nil
}

// checkAccess says what is wrong with a rule. What is not said is not allowed, so a rule has to be whole.
func checkAccess(a *platformv1.Access) error {
	const option = "option (cleave.platform.v1.access)"
	switch {
	case a.GetVisibility() == platformv1.Visibility_VISIBILITY_UNSPECIFIED:
		return errors.New("it has no access rule: say in " + option + " where it can be reached (visibility), and who may call it if it is public")
	case a.GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC:
		if only := (&platformv1.Access{Visibility: a.GetVisibility()}); !proto.Equal(a, only) {
			return errors.New(option + ": who, roles, scope and ownership are for public methods")
		}
		return nil
	case a.GetWho() == platformv1.Who_WHO_UNSPECIFIED:
		return errors.New(option + ": say who may call a public method: WHO_ANYONE, WHO_GUEST, WHO_SIGNED_IN or WHO_ROLE")
	case (a.GetWho() == platformv1.Who_WHO_ROLE) != (len(a.GetRoles()) > 0):
		return errors.New(option + ": WHO_ROLE and roles belong together")
	case a.GetWho() == platformv1.Who_WHO_ANYONE && (a.GetScope() != "" || a.GetOwnership() != nil):
		return errors.New(option + ": who has not signed in has neither a scope nor anything of his own")
	case a.GetWho() == platformv1.Who_WHO_GUEST && a.GetOwnership() == nil:
		return errors.New(option + ": WHO_GUEST is for what belongs to the caller, so it needs ownership; what belongs to nobody is for WHO_ANYONE")
	}
	return nil
}

func access(method *protogen.Method) *platformv1.Access {
	a, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Access).(*platformv1.Access)
	return a
}

func isOperator(method *protogen.Method) bool {
	return access(method).GetVisibility() == platformv1.Visibility_VISIBILITY_OPERATOR
}
