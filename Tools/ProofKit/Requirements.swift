/// One rule of a list.
package struct Requirement: Equatable, Sendable {
    package var id: String
    /// Where it stands: a section of RFC 9293, or of the RFC the list's heading names.
    package var section: String
    /// `MUST`, `SHOULD`, `MAY`, or `practice` for what is no RFC's word.
    package var level: String
    package var rule: String
    /// Why it is not met, or met in part; empty when it is.
    package var reason: String

    package init(id: String, section: String, level: String, rule: String, reason: String) {
        self.id = id
        self.section = section
        self.level = level
        self.rule = rule
        self.reason = reason
    }
}

/// A list of rules, from a file of the repository: tab-separated lines of id, section, level, rule, reason. Lines that
/// begin with `#` are headings, `##` is a remark for who reads the file.
package struct RequirementList: Sendable {
    package var parts: [(heading: String, rows: [Requirement])]

    package init(parsing text: String, file: String) throws(ProofError) {
        parts = []
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            if line.isEmpty || line.hasPrefix("##") { continue }
            if line.hasPrefix("# ") {
                parts.append((String(line.dropFirst(2)), []))
                continue
            }
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 5, Annotation.isID(fields[0]), !fields[3].isEmpty else {
                throw ProofError(
                    "\(file):\(number): a rule has five fields, tabs between them: id, section, level, rule, reason.")
            }
            guard ["MUST", "SHOULD", "MAY", "practice"].contains(fields[2]) else {
                throw ProofError("\(file):\(number): the level is MUST, SHOULD, MAY or practice, not “\(fields[2])”.")
            }
            guard !parts.isEmpty else { throw ProofError("\(file):\(number): a heading comes first, as “# RFC 9293”.") }
            parts[parts.count - 1].rows.append(
                Requirement(id: fields[0], section: fields[1], level: fields[2], rule: fields[3], reason: fields[4]))
        }
    }
}

/// The lists and the tests together.
package struct Requirements: Sendable {
    package var lists: [RequirementList]
    package var annotations: [Annotation]

    package init(lists: [RequirementList], annotations: [Annotation]) {
        self.lists = lists
        self.annotations = annotations
    }

    /// Reads both from the package at `root`.
    package init(root: String) throws(ProofError) {
        lists = []
        for file in Files.list("Tests/Requirements", in: root, suffix: ".tsv") {
            lists.append(try RequirementList(parsing: try Files.text(root + "/" + file), file: file))
        }
        guard !lists.isEmpty else {
            throw ProofError("Tests/Requirements holds no list: run this in the package's folder.")
        }
        annotations = try Annotation.all(in: root)
    }

    package var rows: [Requirement] { lists.flatMap { $0.parts.flatMap(\.rows) } }

    /// What is wrong with the lists and the annotations, a sentence each.
    package func faults() -> [String] {
        var faults: [String] = []
        var seen: Set<String> = []
        for row in rows where !seen.insert(row.id).inserted { faults.append("\(row.id) stands in the lists twice.") }
        for annotation in annotations {
            for id in annotation.ids where !seen.contains(id) {
                faults.append(
                    "\(annotation.file):\(annotation.line) names \(id), which no list in Tests/Requirements has.")
            }
        }
        let tested = Set(annotations.flatMap(\.ids))
        for row in rows where !tested.contains(row.id) && row.reason.isEmpty {
            faults.append("\(row.id) (\(row.level)) has no test, and no reason why not: \(row.rule)")
        }
        return faults
    }

    // MARK: The page

    /// Requirements.md.
    package func page() -> String {
        var tests: [String: [Annotation]] = [:]
        for annotation in annotations { for id in annotation.ids { tests[id, default: []].append(annotation) } }
        var text = """
            # Every rule, and the tests that show it

            Written by `swift run -c release proof requirements` from the lists in `Tests/Requirements` and the rules that the
            tests and scripts name in brackets; do not edit. `--check` fails when this page is stale, when a test names a rule that
            is in no list, and when a rule has neither a test nor a reason.


            """
        text += summary(tests)
        for list in lists {
            for part in list.parts {
                text +=
                    "\n## \(part.heading)\n\n| rule | section | level | what it asks | shown by |\n|---|---|---|---|---|\n"
                for row in part.rows { text += line(row, tests[row.id] ?? []) }
            }
        }
        return text
    }

    private func summary(_ tests: [String: [Annotation]]) -> String {
        var text = "| list | rules | met | met in part | not met |\n|---|---|---|---|---|\n"
        var total = (0, 0, 0, 0)
        for list in lists {
            for part in list.parts {
                let met = part.rows.filter { tests[$0.id] != nil && $0.reason.isEmpty }.count
                let partly = part.rows.filter { tests[$0.id] != nil && !$0.reason.isEmpty }.count
                let rest = part.rows.count - met - partly
                text += "| \(part.heading) | \(part.rows.count) | \(met) | \(partly) | \(rest) |\n"
                total = (total.0 + part.rows.count, total.1 + met, total.2 + partly, total.3 + rest)
            }
        }
        return text + "| all | \(total.0) | \(total.1) | \(total.2) | \(total.3) |\n"
    }

    private func line(_ row: Requirement, _ tests: [Annotation]) -> String {
        var cell: [String] = []
        if !row.reason.isEmpty { cell.append((tests.isEmpty ? "**not met**: " : "**in part**: ") + row.reason) }
        for test in tests {
            let name = test.file.split(separator: "/").last.map(String.init) ?? test.file
            cell.append("[\(name)](\(test.file)): \(test.sentence)")
        }
        let escaped = cell.joined(separator: "<br>").split(separator: "|", omittingEmptySubsequences: false)
            .joined(separator: "\\|")
        return "| \(row.id) | \(row.section) | \(row.level) | \(row.rule) | \(escaped) |\n"
    }
}
