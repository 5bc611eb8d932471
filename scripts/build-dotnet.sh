#!/usr/bin/env bash
# Builds the .NET programs that the tests start, where there is a dotnet on the PATH. What is up to date stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v dotnet >/dev/null; then
  echo "there is no dotnet on the PATH: the tests go without the .NET clients" >&2
  exit 0
fi

# build PROJECT SOURCE...: builds a project, with the properties in $properties, when one of its sources is newer than
# the last time.
properties=()
build() {
  local project=$1 stamp
  stamp=build/dotnet/$(basename "$project")${properties[*]}.built
  # The sources of a project may be folders.
  if [[ -n $(find "$@" -newer "$stamp" 2>&1) ]]; then
    # In this process alone: servers of the compiler would outlive it.
    MSBUILDDISABLENODEREUSE=1 dotnet build --nologo -verbosity:quiet -maxcpucount:1 -p:Configuration=Release \
      -p:UseSharedCompilation=false "${properties[@]}" "$project"
    touch "$stamp"
  fi
}

build test/clients/dotnet/versions.proj examples/dotnet/*.*
build examples/dotnet/published/Published.csproj examples/dotnet/published examples/dotnet/Directory.Build.props
build examples/publishers/csharp/Publisher.csproj examples/publishers/csharp
build clients/dotnet/RteServer.Client.slnx clients/dotnet
properties=(-p:OldFramework=true)
build clients/dotnet/tests/RteServer.Client.Tests.csproj clients/dotnet
properties=()
build test/dotnet/reference/Reference.csproj test/dotnet/reference
