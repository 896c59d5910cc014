import ProofKit
import Testing

/// The package these tests are part of.
enum Repository {
    static let root: String = {
        var path = Substring(#filePath)
        for _ in 0..<3 { path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }
        return String(path)
    }()
}

@Suite("The lists of mutants and their place in the sources")
struct MutantTests {
    private func mutants(_ text: String) throws(ProofError) -> [Mutant] {
        try MutantList(parsing: text, file: "list.mutants").mutants
    }

    /// The source with the mutants of a list in it, without the line that imports the switch.
    private func rewritten(_ source: String, _ list: String) throws -> String {
        var numbered: [(number: Int, mutant: Mutant)] = []
        for (index, mutant) in try mutants(list).enumerated() { numbered.append((index + 1, mutant)) }
        let result = String(decoding: try MutantSource(Array(source.utf8), numbered).rewritten(), as: UTF8.self)
        #expect(result.hasPrefix("public import MutantSwitch\n"))
        return String(result.dropFirst("public import MutantSwitch\n".count))
    }

    @Test("An entry is an id with a sentence, the text it changes, and what that becomes")
    func entry() throws {
        let found = try mutants("# remark\nfile A.swift\n\nX-1 One is two.\n    let a = «1»\n    becomes 2\n")
        #expect(
            found == [
                Mutant(
                    id: "X-1", sentence: "One is two.", file: "A.swift", context: "let a = 1", changed: 8..<9,
                    kind: .expression, replacement: "2")
            ])
    }

    @Test("Without marks all of the text changes, and “does nothing” takes it away")
    func whole() throws {
        let found = try mutants("file A.swift\nX-1 Nothing is done.\n    act()\n    does nothing\n")
        #expect(found.first?.changed == 0..<5)
        #expect(found.first?.kind == .statements)
        #expect(found.first?.replacement == "")
    }

    @Test(
        "An entry that is not complete is refused",
        arguments: [
            "X-1 No file.\n    a\n    becomes b\n", "file A\nX-1 No change.\n    a\n",
            "file A\nX-1 No change.\n    a\nX-2 Another.\n    a\n    becomes b\n", "file A\n    a\n    becomes b\n",
            "file A\nX-1 Two marks.\n    «a» «b»\n    becomes c\n",
            "file A\nX-1 An open mark.\n    «a\n    becomes c\n",
            "file A\nX-1 No text.\n    becomes c\n", "file A\nX-1\n    a\n    becomes c\n",
        ])
    func incomplete(_ text: String) {
        #expect(throws: ProofError.self) { try mutants(text) }
    }

    @Test("An expression is chosen by the switch, whatever white space the source has")
    func expression() throws {
        let result = try rewritten(
            "guard a == 1,\n        b else { return }\n",
            "file A\nX-1 It is two.\n    «a == 1», b else\n    becomes a == 2\n")
        #expect(result == "guard (mutant(1) ? (a == 2) : (a == 1)),\n        b else { return }\n")
    }

    @Test("Statements are chosen by the switch")
    func statements() throws {
        let result = try rewritten(
            "first()\nsecond()\nthird()\n", "file A\nX-1 No second.\n    second()\n    does nothing\n")
        #expect(result == "first()\nif mutant(1) {  } else { second()\n}\nthird()\n")
    }

    @Test("Several mutants of one place, and one inside another, are each chosen by their own number")
    func nested() throws {
        let result = try rewritten(
            "x = a + b\n",
            """
            file A
            X-1 Another b.
                x = a + «b»
                becomes c
            X-2 A third b.
                x = a + «b»
                becomes d
            X-3 No sum.
                x = «a + b»
                becomes 0

            """)
        #expect(result == "x = (mutant(3) ? (0) : (a + (mutant(2) ? (d) : ((mutant(1) ? (c) : (b))))))\n")
    }

    @Test("A text that is not there, or there twice, is a stale entry")
    func stale() {
        for source in ["b == 1\n", "a == 1\na == 1\n"] {
            #expect(throws: ProofError.self) {
                try rewritten(source, "file A\nX-1 It is two.\n    a == 1\n    becomes a == 2\n")
            }
        }
    }

    @Test("Mutants that overlap in part are refused")
    func overlap() {
        #expect(throws: ProofError.self) {
            try rewritten(
                "a + b + c\n",
                "file A\nX-1 One.\n    «a + b» + c\n    becomes 0\nX-2 Two.\n    a + «b + c»\n    becomes 0\n")
        }
    }

    @Test("A failed test is told by its name")
    func failure() {
        let output = "◇ Test run started.\n✘ Test \"A rule\" recorded an issue at A.swift:1:2: Expectation failed\n"
        #expect(MutantRun.failure(in: Array(output.utf8)) == "Test \"A rule\"")
        #expect(MutantRun.failure(in: Array("✔ Test run passed\n".utf8)) == nil)
    }

    @Test("Every mutant of the repository stands in its source once, and there are enough of them")
    func repository() throws {
        let list = try MutantList(root: Repository.root).mutants
        #expect(list.count >= 150)
        var package = MutantPackage(root: Repository.root, mutants: list)
        _ = try package.sources()
        for (index, mutant) in list.enumerated() { #expect(package.lines[index] > 0, "\(mutant.id)") }
    }
}
