package main

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

const (
	timePackage = protogen.GoImportPath("time")
	maxAge      = 24 * time.Hour
)

// generateCache writes for how long answers of a method may be kept.
func generateCache(g *protogen.GeneratedFile, method *protogen.Method) error {
	c, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Cache).(*platformv1.Cache)
	if c == nil {
		return nil
	}
	options, _ := method.Desc.Options().(*descriptorpb.MethodOptions)
	if err := checkCache(c, access(method), options, method.Desc.IsStreamingServer()); err != nil {
		return fmt.Errorf("%s: %w", method.Desc.FullName(), err)
	}
	g.P("MaxAge: ", int(c.GetMaxAge().AsDuration()/time.Second), " * ", timePackage.Ident("Second"), ",")
	return nil
}

// checkCache says why answers of a method must not be kept. What one caller may see and another may not has no place in a cache.
func checkCache(c *platformv1.Cache, a *platformv1.Access, options *descriptorpb.MethodOptions, stream bool) error {
	const option = "option (cleave.platform.v1.cache)"
	age := c.GetMaxAge().AsDuration()
	switch {
	case a.GetVisibility() != platformv1.Visibility_VISIBILITY_PUBLIC || a.GetWho() != platformv1.Who_WHO_ANYONE:
		return errors.New(option + ": only answers of public methods for WHO_ANYONE may be kept by anybody")
	case options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return errors.New(option + ": only what has NO_SIDE_EFFECTS can be got")
	case stream:
		return errors.New(option + ": a stream is not kept")
	case age <= 0 || age > maxAge || age%time.Second != 0:
		return fmt.Errorf("%s: max_age is %s: choose whole seconds, up to %s", option, age, maxAge)
	}
	return nil
}
