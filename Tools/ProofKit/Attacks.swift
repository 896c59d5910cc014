/// `docs/attacks.md`: what attackers try, and the faults that other stacks had, each with the tests that play it.
package struct Attacks: Sendable {
    package static let path = "docs/attacks.md"
    /// Where attackers live.
    private static let folder = "Tests/TCPStackTests/Attackers"
    private static let others = ["Tests/TCPStackTests/Host/FragmentAttackTests.swift"]

    /// The tests of one file, under what its suite says.
    package struct Suite: Sendable {
        package var title: String
        package var file: String
        package var tests: [Annotation]

        package init(title: String, file: String, tests: [Annotation]) {
            self.title = title
            self.file = file
            self.tests = tests
        }
    }

    package var suites: [Suite]
    /// The classes of faults, B-1 and on.
    package var faultClasses: [Requirement]
    private var annotations: [Annotation]

    package init(suites: [Suite], faultClasses: [Requirement], annotations: [Annotation]) {
        self.suites = suites
        self.faultClasses = faultClasses
        self.annotations = annotations
    }

    /// Reads the suites of the package at `root`, whose rules and tests are known already.
    package init(_ requirements: Requirements, root: String) throws(ProofError) {
        var suites: [Suite] = []
        for file in Files.list(Attacks.folder, in: root, suffix: ".swift") + Attacks.others {
            let tests = requirements.annotations.filter { $0.file == file }
            guard !tests.isEmpty else { continue }
            suites.append(
                Suite(title: Attacks.title(try Files.text(root + "/" + file)) ?? file, file: file, tests: tests))
        }
        self.init(
            suites: suites, faultClasses: requirements.rows.filter { $0.id.hasPrefix("B-") },
            annotations: requirements.annotations)
    }

    /// What `@Suite("…")` says in a file.
    package static func title(_ text: String) -> String? {
        guard let mark = text.firstRange(of: "@Suite(\"") else { return nil }
        let rest = text[mark.upperBound...]
        return rest.firstIndex(of: "\"").map { String(rest[..<$0]) }
    }

    /// What is wrong, a sentence each.
    package func faults() -> [String] {
        var faults: [String] = []
        for row in faultClasses where !annotations.contains(where: { $0.ids.contains(row.id) && isTest($0) }) {
            faults.append("\(row.id) stands in no test's sentence.")
        }
        return faults
    }

    private func isTest(_ annotation: Annotation) -> Bool { annotation.file.hasSuffix(".swift") }

    // MARK: The page

    package func page() -> String {
        var text = """
            # Attackers, and what they get

            Written by `swift run -c release proof requirements` from what the tests say of themselves; do not edit. Every figure
            below is computed and asserted by the test that names it: octets, packets, bytes and virtual time are exact; what a
            packet costs is a ratio of processor time within one run. Counts are those of a release build; debug builds play the
            same with fewer. The day on a bad wire has its long form in `CONTRIBUTING.md`.


            """
        for suite in suites {
            text += "## \(suite.title)\n\n[\(name(suite.file))](../\(suite.file))\n\n"
            for test in suite.tests { text += "- \(sentence(test))\n" }
            text += "\n"
        }
        text += """
            ## Faults that other stacks had

            | fault | rule | tests |
            |---|---|---|

            """
        for row in faultClasses { text += line(row) }
        return text
    }

    private func sentence(_ test: Annotation) -> String {
        var text = test.sentence
        if !test.references.isEmpty { text += " [\(test.references.joined(separator: ", "))]" }
        if let disabled = test.disabled { text += " — **does not run**: \(disabled)" }
        return text
    }

    private func line(_ row: Requirement) -> String {
        let shown = annotations.filter { $0.ids.contains(row.id) }
        var cell = shown.filter(isTest).map { "[\(name($0.file))](../\($0.file)): \($0.sentence)" }
        let scripts = shown.filter { !isTest($0) }.count
        if scripts > 0 { cell.append(scripts == 1 ? "1 packet script" : "\(scripts) packet scripts") }
        let escaped = cell.joined(separator: "<br>").split(separator: "|", omittingEmptySubsequences: false)
            .joined(separator: "\\|")
        return "| \(row.id) | \(row.rule) | \(escaped) |\n"
    }

    private func name(_ file: String) -> String { file.split(separator: "/").last.map(String.init) ?? file }
}
