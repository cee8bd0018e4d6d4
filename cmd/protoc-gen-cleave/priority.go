package main

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// generatePriority writes how soon the edge refuses a method.
func generatePriority(g *protogen.GeneratedFile, method *protogen.Method) error {
	p, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Priority).(platformv1.Priority)
	if p == platformv1.Priority_PRIORITY_UNSPECIFIED {
		return nil
	}
	if access(method).GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC {
		return fmt.Errorf("%s: option (cleave.platform.v1.priority) is for public methods", method.Desc.FullName())
	}
	g.P("Priority: ", rpcPackage.Ident(map[platformv1.Priority]string{platformv1.Priority_PRIORITY_LOW: "Low", platformv1.Priority_PRIORITY_HIGH: "High"}[p]), ",")
	return nil
}
