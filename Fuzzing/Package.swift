// swift-tools-version: 6.3
import PackageDescription

// The fuzzer's runtime comes with the toolchain; `Fuzzing/run` passes the flags that link it.
let package = Package(
    name: "Fuzzing",
    dependencies: [.package(name: "swift-tcp", path: "..")],
    targets: [
        .systemLibrary(name: "CFuzzer"),
        .executableTarget(
            name: "fuzz", dependencies: ["CFuzzer", .product(name: "TCPFuzz", package: "swift-tcp")],
            swiftSettings: [.swiftLanguageMode(.v6)]),
    ]
)
