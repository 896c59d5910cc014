// swift-tools-version: 6.3
import PackageDescription

/// `EMBEDDED=1` builds the core as Embedded Swift; it stays out of the way of everyone who depends on this package.
let embedded = Context.environment["EMBEDDED"] != nil
/// `WARNINGS_AS_ERRORS=1` is what continuous integration builds with.
let strict = Context.environment["WARNINGS_AS_ERRORS"] != nil

let house: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])

/// What makes a target Embedded Swift.
let bare: [SwiftSetting] = embedded ? [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"])] : []

let core: [SwiftSetting] = house + [.strictMemorySafety()] + bare

/// Gives the counting functions of the benchmarks the names of the C library's.
let counting = ["malloc", "calloc", "realloc", "memalign", "aligned_alloc", "posix_memalign", "memcpy"].flatMap {
    ["-Xlinker", "--defsym=\($0)=counted_\($0)"]
}

/// Links the command with Swift's own libraries: it starts faster, and holds what it uses of them instead of all.
let staticLibrary = ["-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims"]

/// The library that programs in C load brings Swift's own libraries along, and shows none of their names.
let loadedLibrary = ["-static-stdlib", "-Xlinker", "--exclude-libs=ALL"]

let coreTargets: [Target] = [
    .target(name: "TCPWire", swiftSettings: core),
    .target(name: "TCPEngine", dependencies: ["TCPWire"], swiftSettings: core),
    .target(name: "TCPStack", dependencies: ["TCPEngine", "TCPWire"], swiftSettings: core),
]

let hostedTargets: [Target] = [
    .target(name: "TCPTrace", dependencies: ["TCPWire", "TCPEngine"], swiftSettings: house),
    .target(
        name: "TCPSimulator", dependencies: ["TCPStack", "TCPEngine", "TCPWire", "TCPTrace"], swiftSettings: house),
    .target(
        name: "TCPExplorer", dependencies: ["TCPStack", "TCPEngine", "TCPWire", "TCPTrace"], swiftSettings: house),
    .target(
        name: "TCPFuzz", dependencies: ["TCPScript", "TCPStack", "TCPEngine", "TCPWire", "TCPTrace"],
        swiftSettings: house),
    .testTarget(
        name: "TCPFuzzTests", dependencies: ["TCPFuzz", "TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .systemLibrary(name: "CLinux"),
    .target(name: "TCPSockets", dependencies: ["TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .target(
        name: "TCPPacketdrill", dependencies: ["TCPSockets", "TCPEngine", "TCPWire"], swiftSettings: house,
        linkerSettings: [.unsafeFlags(loadedLibrary, .when(platforms: [.linux]))]),
    .testTarget(name: "TCPPacketdrillTests", dependencies: ["TCPSockets", "TCPWire"], swiftSettings: house),
    .testTarget(
        name: "TCPSocketsTests", dependencies: ["TCPSockets", "TCPStack", "TCPEngine", "TCPWire"],
        swiftSettings: house),
    .target(
        name: "TCPRuntime", dependencies: ["TCPStack", "TCPEngine", "TCPWire", "TCPTrace", "CLinux"],
        swiftSettings: house),
    .target(
        name: "TCPScript", dependencies: ["TCPSockets", "TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .testTarget(
        name: "TCPScriptTests",
        dependencies: ["TCPScript", "TCPSockets", "TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .executableTarget(
        name: "tcp",
        dependencies: [
            "TCPExplorer", "TCPRuntime", "TCPSimulator", "TCPScript", "TCPTrace", "TCPStack", "TCPEngine", "TCPWire",
            "CLinux",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
        ], swiftSettings: house, linkerSettings: [.unsafeFlags(staticLibrary, .when(platforms: [.linux]))]),
    .executableTarget(
        name: "benchmarks",
        dependencies: ["TCPRuntime", "TCPSimulator", "TCPStack", "TCPEngine", "TCPWire", "CLinux"],
        path: "Benchmarks", swiftSettings: house, linkerSettings: [.unsafeFlags(counting)]),
    .target(name: "ProofKit", path: "Tools/ProofKit", swiftSettings: house),
    .executableTarget(
        name: "proof",
        dependencies: ["ProofKit", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        path: "Tools/proof", swiftSettings: house),
    .testTarget(name: "ProofTests", dependencies: ["ProofKit"], swiftSettings: house),
    .testTarget(name: "TCPWireTests", dependencies: ["TCPWire"], swiftSettings: house),
    .testTarget(name: "TCPEngineTests", dependencies: ["TCPEngine", "TCPWire"], swiftSettings: house),
    .testTarget(
        name: "TCPStackTests", dependencies: ["TCPStack", "TCPEngine", "TCPWire"], exclude: ["LATER.md"],
        swiftSettings: house),
    .testTarget(
        name: "TCPSimulatorTests",
        dependencies: ["TCPSimulator", "TCPTrace", "TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .testTarget(
        name: "TCPExplorerTests",
        dependencies: ["TCPExplorer", "TCPTrace", "TCPStack", "TCPEngine", "TCPWire"], swiftSettings: house),
    .testTarget(
        name: "TCPRuntimeTests",
        dependencies: ["TCPRuntime", "TCPStack", "TCPEngine", "TCPWire", "CLinux"], swiftSettings: house),
    // These run the programs that are built beside them; depending on those would link the tests with the benchmarks'
    // allocator and the command's static library.
    .testTarget(name: "BenchmarkTests", swiftSettings: house),
    .testTarget(name: "CommandTests", dependencies: ["TCPTrace", "TCPWire"], swiftSettings: house),
]

let embeddedTargets: [Target] = [
    .executableTarget(
        name: "EmbeddedExample", dependencies: ["TCPStack", "TCPEngine", "TCPWire"], path: "Examples/Embedded",
        swiftSettings: house + bare)
]

let package = Package(
    name: "swift-tcp",
    products: [
        .library(name: "TCPStack", targets: ["TCPStack", "TCPEngine", "TCPWire"])
    ]
        + (embedded
            ? []
            : [
                .library(name: "TCPSimulator", targets: ["TCPSimulator", "TCPTrace"]),
                .library(name: "TCPTrace", targets: ["TCPTrace"]),
                .library(name: "TCPScript", targets: ["TCPScript"]),
                .library(name: "TCPRuntime", targets: ["TCPRuntime"]),
                .library(name: "TCPFuzz", targets: ["TCPFuzz"]),
                .library(name: "TCPPacketdrill", type: .dynamic, targets: ["TCPPacketdrill"]),
                .executable(name: "tcp", targets: ["tcp"]),
            ]),
    dependencies: embedded
        ? [] : [.package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")],
    targets: coreTargets + (embedded ? embeddedTargets : hostedTargets)
)
