// Package mtls tells units of the house from each other by their certificates, which it reads from files and reads again when they change.
//
// A unit is named by a SPIFFE id, the only URI in its certificate: spiffe://<trust domain>/<unit>. Host names do not matter, so a unit
// may live at any address. Both sides of a connection ask the same: is the certificate signed by one of our authorities, valid now, and
// of our trust domain? A client asks besides which unit it has reached.
//
// Certificates change without a restart, and without a request that fails: new connections use the new ones, and a [Transport] goes
// over to new connections by itself. A peer whose certificate has expired, or whose authority is trusted no more, is refused at its
// next request, on however old a connection.
//
// The package owns who somebody is. It does not own who may call whom (platform/module), nor how certificates come about: cert-manager,
// SPIRE, or `cleave certs` (platform/mtls/authority).
package mtls
