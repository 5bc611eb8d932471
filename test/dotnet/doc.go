// Package dotnet tests what C# developers get and what they rely on: the package clients/dotnet, the samples of
// docs/dotnet.md, the token refresh of Microsoft's client, and a comparison with ASP.NET Core, message by message. The
// tests run where there is a dotnet on the PATH; scripts/build-dotnet.sh builds what they start. Elsewhere they log one
// line and pass.
package dotnet
