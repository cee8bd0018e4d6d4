package main

import (
	"fmt"
	"regexp"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// generateSession writes of which cookie a method tells who is signed in.
func generateSession(g *protogen.GeneratedFile, method *protogen.Method) error {
	s, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Session).(*platformv1.Session)
	if s == nil {
		return nil
	}
	if problem := wrongSession(method.Desc, s); problem != "" {
		return fmt.Errorf("%s: option (cleave.platform.v1.session): %s", method.Desc.FullName(), problem)
	}
	g.P("SessionCookie: ", fmt.Sprintf("%q", s.GetCookie()), ",")
	return nil
}

var cookieName = regexp.MustCompile(`^cleave_[a-z]+$`)

// wrongSession says what the edge would not understand, or "".
func wrongSession(method protoreflect.MethodDescriptor, s *platformv1.Session) string {
	a, _ := proto.GetExtension(method.Options(), platformv1.E_Access).(*platformv1.Access)
	request := method.Input().Fields()
	switch {
	case a.GetVisibility() != platformv1.Visibility_VISIBILITY_INTERNAL:
		return "who is signed in is told to the edge: VISIBILITY_INTERNAL"
	case !harmless(method) || method.IsStreamingServer():
		return "it is asked again and again, so it has NO_SIDE_EFFECTS and does not stream"
	case request.Len() != 1 || request.Get(0).Kind() != protoreflect.BytesKind || request.Get(0).IsList() || !holds(method.Output(), "cleave.platform.web.v1.Session"):
		return "the request has one field, of bytes, and the response one of cleave.platform.web.v1.Session"
	case !cookieName.MatchString(s.GetCookie()):
		return fmt.Sprintf("the cookie %q is not called cleave_ and a word in small letters", s.GetCookie())
	}
	return ""
}
