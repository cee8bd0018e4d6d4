package main

import (
	"fmt"
	"regexp"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// generatePages writes which pages a method serves.
func generatePages(g *protogen.GeneratedFile, method *protogen.Method, pages *platformv1.Pages) error {
	if problem := wrongPages(method.Desc, pages); problem != "" {
		return fmt.Errorf("%s: option (cleave.platform.v1.pages): %s", method.Desc.FullName(), problem)
	}
	g.P("Pages: []", rpcPackage.Ident("Page"), "{")
	for _, p := range pages.GetPages() {
		more := ""
		if p.GetFromAnywhere() {
			more = ", FromAnywhere: true"
		}
		g.P("{Path: ", fmt.Sprintf("%q", p.GetPath()), ", Get: ", p.GetGet(), ", Post: ", p.GetPost(), more, "},")
	}
	g.P("},")
	return nil
}

var pagePath = regexp.MustCompile(`^(/[a-z0-9.][a-z0-9-]*)+$`)

// wrongPages says what the edge would not understand, or "".
func wrongPages(method protoreflect.MethodDescriptor, pages *platformv1.Pages) string {
	a, _ := proto.GetExtension(method.Options(), platformv1.E_Access).(*platformv1.Access)
	switch {
	case a.GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC || a.GetWho() != platformv1.Who_WHO_ANYONE:
		return "pages are public, and for anyone: who calls the module finds out itself"
	case proto.HasExtension(method.Options(), annotations.E_Http), method.IsStreamingServer():
		return "a method that serves pages has no route of google.api.http and does not stream"
	case !holds(method.Input(), "cleave.platform.web.v1.Request") || !holds(method.Output(), "cleave.platform.web.v1.Response"):
		return "the request has one field, of cleave.platform.web.v1.Request, and the response one of cleave.platform.web.v1.Response"
	case len(pages.GetPages()) == 0:
		return "it names no page"
	}
	for _, p := range pages.GetPages() {
		switch {
		case !pagePath.MatchString(p.GetPath()):
			return fmt.Sprintf("path %q is not made of words", p.GetPath())
		case !p.GetGet() && !p.GetPost():
			return fmt.Sprintf("%s is neither got nor posted to", p.GetPath())
		case p.GetFromAnywhere() && !p.GetPost():
			return fmt.Sprintf("%s is not posted to, from anywhere or here", p.GetPath())
		case p.GetSummary() == "" || p.GetDescription() == "" || p.GetProduces() == "":
			return fmt.Sprintf("%s says nothing about itself: it needs a summary, a description, and what it produces", p.GetPath())
		}
	}
	return ""
}

// holds reports whether a message has one field, a message of that name.
func holds(message protoreflect.MessageDescriptor, name protoreflect.FullName) bool {
	fields := message.Fields()
	return fields.Len() == 1 && fields.Get(0).Message() != nil && fields.Get(0).Message().FullName() == name && !fields.Get(0).IsList()
}
