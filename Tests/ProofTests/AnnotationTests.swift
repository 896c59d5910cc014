import ProofKit
import Testing

@Suite("What tests say of the rules they show")
struct AnnotationTests {
    private let quote = "\""

    @Test("The brackets at the end of a test's sentence name its rules")
    func brackets() {
        let source = "@Test(\(quote)A FIN waits for a gap [U-39, MUST-5]\(quote), arguments: [1])\nfunc f() {}\n"
        let found = Annotation.inTests(source, file: "T.swift")
        #expect(found.map(\.sentence) == ["A FIN waits for a gap"])
        #expect(found.first?.ids == ["U-39", "MUST-5"])
    }

    @Test("The sentence may stand on the line below, and its place is told")
    func nextLine() {
        let source = "\n\n@Test(\n    \(quote)A rule [7323-10]\(quote)\n)\n@Test(\(quote)Another\(quote))\n"
        let found = Annotation.inTests(source, file: "T.swift")
        #expect(found.map(\.line) == [3, 6])
        #expect(found.map(\.ids) == [["7323-10"], []])
    }

    @Test("What is no id is for the reader alone: sections, words, ranges")
    func otherReferences() {
        let source = "@Test(\(quote)PAWS [RFC 7323 §5.3, seed 12, SYN, 1-200, B-22]\(quote))"
        let found = Annotation.inTests(source, file: "T.swift")
        #expect(found.first?.references.count == 5)
        #expect(found.first?.ids == ["B-22"])
    }

    @Test("Brackets inside a sentence are part of it")
    func inside() {
        let found = Annotation.inTests("@Test(\(quote)The range [a, b] is kept\(quote))", file: "T.swift")
        #expect(found.first?.sentence == "The range [a, b] is kept")
        #expect(found.first?.references.isEmpty == true)
    }

    @Test("A test without a sentence, and a quote inside one, upset nothing")
    func escapes() {
        let found = Annotation.inTests(
            "@Test func f() {}\n@Test(arguments: [1])\n@Test(\(quote)It is \\\(quote)so\\\(quote) [U-1]\(quote))",
            file: "T.swift")
        #expect(found.map(\.sentence) == ["It is \"so\""])
    }

    @Test("A script names its rules in its first line")
    func script() {
        let found = Annotation.inScript("// RFC 9293 §3.10.7.4 [U-31]: a SYN again\n0 socket()\n", file: "a.pkt")
        #expect(found?.ids == ["U-31"])
        #expect(found?.sentence == "RFC 9293 §3.10.7.4: a SYN again")
        #expect(Annotation.inScript("0 socket()\n", file: "a.pkt") == nil)
    }
}
