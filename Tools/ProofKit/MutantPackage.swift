/// A copy of the core and its fast tests, in a folder of its own, with every mutant in it. It is built once; which mutant
/// is on, the environment says.
package struct MutantPackage {
    /// What is copied, and gets the mutants.
    static let modules = ["TCPWire", "TCPEngine", "TCPStack"]
    /// The fast tests.
    static let tests = ["TCPWireTests", "TCPEngineTests", "TCPStackTests"]
    /// What the environment calls the number of the mutant that is on.
    package static let variable = "TCP_MUTANT"

    package let root: String
    package let folder: String
    package let mutants: [Mutant]
    /// The line of the source each mutant changes.
    package private(set) var lines: [Int] = []

    /// `mutants` are numbered from 1 in their order.
    package init(root: String, mutants: [Mutant]) {
        self.root = root
        self.mutants = mutants
        folder = root + "/.build-mutants"
    }

    /// The program that runs the tests.
    package var bundle: String { folder + "/.build/release/MutantsPackageTests.xctest" }

    /// The sources with their mutants: path below the root, text.
    package mutating func sources() throws(ProofError) -> [(path: String, text: [UInt8])] {
        var found: [Int: Int] = [:]
        var files: [(path: String, text: [UInt8])] = []
        var left = Set(mutants.map(\.file))
        for module in MutantPackage.modules {
            for path in Files.list("Sources/" + module, in: root, suffix: ".swift") {
                let text = try Files.read(root + "/" + path)
                guard left.remove(path) != nil else {
                    files.append((path, text))
                    continue
                }
                var here: [(number: Int, mutant: Mutant)] = []
                for (index, mutant) in mutants.enumerated() where mutant.file == path {
                    here.append((index + 1, mutant))
                }
                let source = try MutantSource(text, here)
                found.merge(source.lines) { old, _ in old }
                files.append((path, source.rewritten()))
            }
        }
        if let file = left.min() { throw ProofError("\(file) is in the list of mutants, but is no file of the core.") }
        lines = mutants.indices.map { found[$0 + 1] ?? 0 }
        return files
    }

    /// Writes the copy. Files that are as they were keep their dates; those that are no more are removed.
    package mutating func write() throws(ProofError) {
        var files = try sources()
        for target in MutantPackage.tests {
            for path in Files.list("Tests/" + target, in: root, suffix: ".swift") {
                files.append((path, try Files.read(root + "/" + path)))
            }
        }
        files.append(("Package.swift", Array(manifest.utf8)))
        files.append(("Sources/MutantSwitch/include/MutantSwitch.h", Array(MutantPackage.header.utf8)))
        files.append(("Sources/MutantSwitch/switch.c", Array(MutantPackage.implementation.utf8)))
        let kept = Set(files.map(\.path))
        for top in ["Sources", "Tests"] {
            for path in Files.list(top, in: folder, suffix: "") where !kept.contains(path) {
                Files.remove(folder + "/" + path)
            }
        }
        for file in files { try Files.write(file.text, to: folder + "/" + file.path) }
    }

    private var manifest: String {
        """
        // swift-tools-version: 6.3
        import PackageDescription

        let house: [SwiftSetting] = [
            .swiftLanguageMode(.v6),
            .enableUpcomingFeature("ExistentialAny"),
            .enableUpcomingFeature("MemberImportVisibility"),
            .enableUpcomingFeature("InternalImportsByDefault"),
        ]

        /// The core is what is to be quick: the tests are built without optimisation, in their small sizes, in a third of the
        /// time.
        let plain = house + [.unsafeFlags(["-Onone", "-DDEBUG"])]

        let package = Package(
            name: "Mutants",
            targets: [
                .target(name: "MutantSwitch"),
                .target(name: "TCPWire", dependencies: ["MutantSwitch"], swiftSettings: house),
                .target(name: "TCPEngine", dependencies: ["MutantSwitch", "TCPWire"], swiftSettings: house),
                .target(name: "TCPStack", dependencies: ["MutantSwitch", "TCPEngine", "TCPWire"], swiftSettings: house),
                .testTarget(name: "TCPWireTests", dependencies: ["TCPWire"], swiftSettings: plain),
                .testTarget(name: "TCPEngineTests", dependencies: ["TCPEngine", "TCPWire"], swiftSettings: plain),
                .testTarget(name: "TCPStackTests", dependencies: ["TCPStack", "TCPEngine", "TCPWire"], swiftSettings: plain),
            ]
        )

        """
    }

    private static let header = """
        extern int mutantNumber;
        static inline _Bool mutant(int number) { return mutantNumber == number; }

        """

    private static let implementation = """
        #include <stdlib.h>
        #include "MutantSwitch.h"

        int mutantNumber = 0;

        __attribute__((constructor)) static void readNumber(void) {
            const char *text = getenv("\(variable)");
            if (text) mutantNumber = atoi(text);
        }

        """
}
