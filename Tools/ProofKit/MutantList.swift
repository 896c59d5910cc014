/// A small fault to make in a source file.
package struct Mutant: Equatable, Sendable {
    package enum Kind: Sendable {
        /// An expression takes another's place.
        case expression
        /// Statements take the place of statements.
        case statements
    }

    package var id: String
    /// What is wrong then, in one sentence.
    package var sentence: String
    /// The file, below the package's root.
    package var file: String
    /// Source text that occurs once in the file; white space counts as equal to any other.
    package var context: String
    /// The part of `context` that changes.
    package var changed: Range<Int>
    package var kind: Kind
    package var replacement: String

    package init(
        id: String, sentence: String, file: String, context: String, changed: Range<Int>, kind: Kind,
        replacement: String
    ) {
        self.id = id
        self.sentence = sentence
        self.file = file
        self.context = context
        self.changed = changed
        self.kind = kind
        self.replacement = replacement
    }
}

/// The list of mutants, from files of the repository:
///
/// ```
/// file Sources/TCPWire/Checksum.swift
///
/// W-1 The carry is lost.
///     folded = «(folded & 0xFFFF) &+ (folded &>> 16)»
///     becomes folded & 0xFFFF
///
/// W-2 The length is left out of the pseudo-header.
///     add(UInt32(truncatingIfNeeded: length))
///     does nothing
/// ```
///
/// Between `«` and `»` stands what changes, else all of it does. `becomes` gives an expression for an expression, `does`
/// statements for statements.
package struct MutantList: Sendable {
    package var mutants: [Mutant] = []

    package init(parsing text: String, file: String) throws(ProofError) {
        var source: String?
        var entry: (id: String, sentence: String, line: Int)?
        var context: [Substring] = []
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("file ") {
                source = String(line.dropFirst(5))
                continue
            }
            if !line.hasPrefix("    ") {
                if let entry { throw ProofError("\(file):\(entry.line): \(entry.id) lacks its “becomes” or “does”.") }
                let parts = line.split(separator: " ", maxSplits: 1)
                guard parts.count == 2 else {
                    throw ProofError("\(file):\(number): an entry begins with its id and a sentence.")
                }
                entry = (String(parts[0]), String(parts[1]), number)
                context = []
                continue
            }
            guard let current = entry, let path = source else {
                throw ProofError("\(file):\(number): “file …” and an id with its sentence come first.")
            }
            let body = line.dropFirst(4)
            if body.hasPrefix("becomes ") || body.hasPrefix("does ") {
                mutants.append(
                    try MutantList.mutant(
                        current, path, context.joined(separator: "\n"), String(body), at: "\(file):\(number)"))
                entry = nil
            } else {
                context.append(body)
            }
        }
        if let entry { throw ProofError("\(file):\(entry.line): \(entry.id) lacks its “becomes” or “does”.") }
    }

    private static func mutant(
        _ entry: (id: String, sentence: String, line: Int), _ source: String, _ context: String, _ change: String,
        at place: String
    ) throws(ProofError) -> Mutant {
        let isExpression = change.hasPrefix("becomes ")
        var replacement = String(change.dropFirst(isExpression ? 8 : 5))
        if !isExpression, replacement == "nothing" { replacement = "" }
        let open = context.split(separator: "«", omittingEmptySubsequences: false)
        guard !context.isEmpty, open.count <= 2 else {
            throw ProofError("\(place): one part changes, between « and ».")
        }
        guard open.count == 2 else {
            return Mutant(
                id: entry.id, sentence: entry.sentence, file: source, context: context,
                changed: 0..<context.utf8.count, kind: isExpression ? .expression : .statements,
                replacement: replacement)
        }
        let close = open[1].split(separator: "»", omittingEmptySubsequences: false)
        guard close.count == 2, !close[0].isEmpty else {
            throw ProofError("\(place): one part changes, between « and ».")
        }
        let start = open[0].utf8.count
        return Mutant(
            id: entry.id, sentence: entry.sentence, file: source, context: "\(open[0])\(close[0])\(close[1])",
            changed: start..<start + close[0].utf8.count, kind: isExpression ? .expression : .statements,
            replacement: replacement)
    }

    /// All lists below `Tests/Mutants`, in the order of their names.
    package init(root: String) throws(ProofError) {
        for file in Files.list("Tests/Mutants", in: root, suffix: ".mutants") {
            mutants += try MutantList(parsing: try Files.text(root + "/" + file), file: file).mutants
        }
        var seen: Set<String> = []
        for mutant in mutants where !seen.insert(mutant.id).inserted {
            throw ProofError("\(mutant.id) stands in Tests/Mutants twice.")
        }
        guard !mutants.isEmpty else {
            throw ProofError("Tests/Mutants holds no list: run this in the package's folder.")
        }
    }
}
