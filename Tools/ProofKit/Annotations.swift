/// A test, and the rules its sentence names.
package struct Annotation: Equatable, Sendable {
    /// The file, below the package's root.
    package var file: String
    package var line: Int
    /// What the test says, without the rules.
    package var sentence: String
    /// What stands in the brackets at the sentence's end, apart.
    package var references: [String]
    /// Why the test does not run; `nil` when it does.
    package var disabled: String?

    package init(file: String, line: Int, sentence: String, references: [String], disabled: String? = nil) {
        self.file = file
        self.line = line
        self.sentence = sentence
        self.references = references
        self.disabled = disabled
    }

    /// Those of the references that look like an id of the lists: `MUST-10`, `U-25`, `B-4`, `7323-10`. The others, as
    /// `RFC 9293 §3.4`, are for the reader. A test that does not run shows nothing.
    package var ids: [String] { disabled == nil ? references.filter(Annotation.isID) : [] }

    /// Letters, or an RFC's number, then a hyphen and a number.
    package static func isID(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, parts[1].utf8.allSatisfy(isDigit) else { return false }
        let letters = parts[0].utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        return !parts[0].isEmpty
            && (letters || (3...4).contains(parts[0].utf8.count) && parts[0].utf8.allSatisfy(isDigit))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The annotations of a Swift test file: every `@Test("…")`, on one line or with the sentence on the next.
    package static func inTests(_ text: String, file: String) -> [Annotation] {
        var found: [Annotation] = []
        let bytes = Array(text.utf8)
        let mark = Array("@Test(".utf8)
        var line = 1
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n") { line += 1 }
            guard bytes[index...].starts(with: mark) else {
                index += 1
                continue
            }
            index += mark.count
            let begin = line
            while index < bytes.count, isSpace(bytes[index]) {
                if bytes[index] == UInt8(ascii: "\n") { line += 1 }
                index += 1
            }
            guard let name = stringLiteral(bytes, &index) else { continue }
            var annotation = annotation(name, file: file, line: begin)
            annotation.disabled = disabled(bytes, from: min(index + 1, bytes.count))
            found.append(annotation)
        }
        return found
    }

    /// What the trait says that follows a test's sentence: `, .disabled("reason")`.
    private static func disabled(_ bytes: [UInt8], from start: Int) -> String? {
        var index = start
        for mark in [",", ".disabled("] {
            while index < bytes.count, isSpace(bytes[index]) { index += 1 }
            guard bytes[index...].starts(with: mark.utf8) else { return nil }
            index += mark.utf8.count
        }
        return stringLiteral(bytes, &index) ?? ""
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t")
    }

    /// A literal on one line.
    private static func stringLiteral(_ bytes: [UInt8], _ index: inout Int) -> String? {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return nil }
        index += 1
        var name: [UInt8] = []
        while index < bytes.count, bytes[index] != UInt8(ascii: "\""), bytes[index] != UInt8(ascii: "\n") {
            if bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count { index += 1 }
            name.append(bytes[index])
            index += 1
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func annotation(_ name: String, file: String, line: Int) -> Annotation {
        guard name.hasSuffix("]"), let open = name.lastIndex(of: "[") else {
            return Annotation(file: file, line: line, sentence: name, references: [])
        }
        let inside = name[name.index(after: open)...].dropLast()
        return Annotation(
            file: file, line: line, sentence: trimmed(name[..<open]), references: split(inside))
    }

    /// The annotation of a packet script: its first line, `// RFC 9293 §3.10.7.4 [U-31]: what it shows`.
    package static func inScript(_ text: String, file: String) -> Annotation? {
        let first = text.prefix { $0 != "\n" }
        guard first.hasPrefix("//") else { return nil }
        let sentence = trimmed(first.dropFirst(2))
        guard let open = sentence.firstIndex(of: "["), let close = sentence[open...].firstIndex(of: "]") else {
            return Annotation(file: file, line: 1, sentence: sentence, references: [])
        }
        return Annotation(
            file: file, line: 1,
            sentence: trimmed(sentence[..<open]) + sentence[sentence.index(after: close)...],
            references: split(sentence[sentence.index(after: open)..<close]))
    }

    private static func split(_ text: Substring) -> [String] { text.split(separator: ",").map { trimmed($0) } }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var text = Substring(text)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }

    /// Every annotation below `root`.
    package static func all(in root: String) throws(ProofError) -> [Annotation] {
        var found: [Annotation] = []
        for file in Files.list("Tests", in: root, suffix: ".swift") {
            found += inTests(try Files.text(root + "/" + file), file: file)
        }
        for file in Files.list("Tests/Scripts", in: root, suffix: ".pkt") {
            if let annotation = inScript(try Files.text(root + "/" + file), file: file) { found.append(annotation) }
        }
        return found
    }
}
