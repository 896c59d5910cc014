import Glibc
import Testing

/// Swift has no mirror of noncopyable types: the stored fields are read from the sources, and each must be named in the
/// fingerprint, as hashed or as left out for a reason.
@Suite struct FingerprintFieldTests {
    struct Subject: Sendable, CustomTestStringConvertible {
        var module: String
        var file: String
        var type: String
        /// What a field is called by in the fingerprint, before its name.
        var prefix = ""
        var testDescription: String { type }
    }

    static let subjects = [
        Subject(module: "TCPEngine", file: "Connection.swift", type: "struct Connection"),
        Subject(module: "TCPEngine", file: "Connection.swift", type: "struct Send", prefix: "send."),
        Subject(module: "TCPEngine", file: "Connection.swift", type: "struct Receive", prefix: "receive."),
        Subject(module: "TCPEngine", file: "ReceiveSpace.swift", type: "struct ReceiveSpace", prefix: "space."),
        Subject(module: "TCPEngine", file: "PathMTU.swift", type: "struct PathSize", prefix: "path."),
        Subject(module: "TCPEngine", file: "ECN.swift", type: "struct ECN", prefix: "ecn."),
        Subject(module: "TCPEngine", file: "Reassembly.swift", type: "class Reassembly"),
        Subject(module: "TCPEngine", file: "RTTEstimator.swift", type: "struct RTTEstimator"),
        Subject(module: "TCPEngine", file: "NewReno.swift", type: "struct NewReno"),
        Subject(module: "TCPEngine", file: "Cubic.swift", type: "struct Cubic"),
        Subject(module: "TCPEngine", file: "HyStart.swift", type: "struct HyStart"),
        Subject(module: "TCPEngine", file: "ByteQueue.swift", type: "struct ByteQueue"),
        Subject(module: "TCPEngine", file: "SequenceRanges.swift", type: "struct SequenceRanges"),
        Subject(module: "TCPStack", file: "Stack.swift", type: "struct Stack"),
        Subject(module: "TCPStack", file: "Stack+Addresses.swift", type: "struct LocalAddress", prefix: "address."),
        Subject(module: "TCPStack", file: "Listener.swift", type: "struct Listener", prefix: "listener."),
        Subject(module: "TCPStack", file: "Configuration.swift", type: "struct ConnectionOptions", prefix: "options."),
        Subject(module: "TCPStack", file: "Tables.swift", type: "struct ConnectionRecord"),
        Subject(module: "TCPStack", file: "Tables.swift", type: "struct SmallEntry"),
        Subject(module: "TCPStack", file: "ControlQueue.swift", type: "struct ControlPacket", prefix: "packet."),
    ]

    @Test(
        "Every stored field is in the fingerprint, or left out for a reason that is written there", arguments: subjects)
    func covered(subject: Subject) throws {
        let fields = try storedFields(of: subject)
        #expect(!fields.isEmpty, "no stored field of \(subject.type) was found in \(subject.file)")
        let fingerprint = try source(
            subject.module,
            subject.module == "TCPEngine" ? "Connection+Fingerprint.swift" : "Stack+Fingerprint.swift")
        let words = Set(fingerprint.split { !($0.isLetter || $0.isNumber || $0 == "." || $0 == "_") }.map(String.init))
        let parts = words.union(words.flatMap { $0.split(separator: ".").map(String.init) })
        for field in fields {
            let isNamed =
                subject.prefix.isEmpty
                ? parts.contains(field)
                : words.contains { $0 == subject.prefix + field || $0.hasPrefix(subject.prefix + field + ".") }
            #expect(isNamed, "\(subject.type) stores '\(field)', and the fingerprint does not know it")
        }
    }

    @Test("A field that the fingerprint does not know is found")
    func finds() throws {
        let fields = FingerprintFieldTests.storedFields(
            in: [
                "struct Thing {", "    var known = 1", "    package var forgotten: UInt8", "    var sum: Int { 3 }",
                "}",
            ],
            type: "struct Thing")
        #expect(fields == ["known", "forgotten"])
    }

    private func storedFields(of subject: Subject) throws -> [String] {
        let lines = try source(subject.module, subject.file).split(separator: "\n", omittingEmptySubsequences: false)
        return FingerprintFieldTests.storedFields(in: lines.map(String.init), type: subject.type)
    }

    /// The names of the properties that are declared one level inside `type`, and have no body.
    static func storedFields(in lines: [String], type: String) -> [String] {
        guard
            let start = lines.firstIndex(where: { line in
                guard let range = line.firstRange(of: type) else { return false }
                return line[range.upperBound...].first.map { !$0.isLetter } ?? true
            })
        else { return [] }
        let indent = lines[start].prefix { $0 == " " }.count
        var fields: [String] = []
        for line in lines[(start + 1)...] {
            if line.hasPrefix(String(repeating: " ", count: indent) + "}") { break }
            guard line.prefix(while: { $0 == " " }).count == indent + 4, !line.contains("static") else { continue }
            var words = line.split(separator: " ").map(String.init)
            while let first = words.first,
                ["package", "public", "private", "private(set)", "fileprivate"].contains(first)
            {
                words.removeFirst()
            }
            guard words.count > 1, words[0] == "var" || words[0] == "let", words.last != "{", !line.contains(" { ")
            else { continue }
            fields.append(String(words[1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
        }
        return fields
    }

    private func source(_ module: String, _ file: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/Sources/\(module)/\(file)"
        let stream = try #require(fopen(path, "r"), "\(path) cannot be read")
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&part, 1, part.count, stream)
            if count == 0 { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
