import ProofKit
import Testing

@Suite("The page of attackers")
struct AttackTests {
    private func annotation(_ file: String, _ ids: String..., disabled: String? = nil) -> Annotation {
        Annotation(file: file, line: 1, sentence: "It costs 64 bytes | no more", references: ids, disabled: disabled)
    }

    @Test("It names every suite with its tests, and every class of faults with its own and its scripts")
    func page() {
        let test = annotation("Tests/TCPStackTests/Attackers/T.swift", "B-1", "RFC 5961 §3")
        let attacks = Attacks(
            suites: [.init(title: "Guessers", file: "Tests/TCPStackTests/Attackers/T.swift", tests: [test])],
            faultClasses: [.init(id: "B-1", section: "1", level: "practice", rule: "It holds.", reason: "")],
            annotations: [test, annotation("Tests/Scripts/a.pkt", "B-1")])
        #expect(attacks.faults() == [])
        #expect(
            attacks.page().contains(
                "## Guessers\n\n[T.swift](../Tests/TCPStackTests/Attackers/T.swift)\n\n- It costs 64 bytes | no more [B-1, RFC 5961 §3]\n"
            ))
        #expect(attacks.page().contains("It costs 64 bytes \\| no more<br>1 packet script |\n"))
    }

    @Test("A class of faults without a test is a fault; scripts, and tests that do not run, are none")
    func gap() {
        let row = Requirement(id: "B-1", section: "1", level: "practice", rule: "It holds.", reason: "")
        for annotations in [
            [], [annotation("Tests/Scripts/a.pkt", "B-1")], [annotation("T.swift", "B-1", disabled: "not yet")],
        ] {
            #expect(Attacks(suites: [], faultClasses: [row], annotations: annotations).faults().count == 1)
        }
    }

    @Test("A test that does not run says why, and shows no rule")
    func disabled() {
        let quote = "\""
        let source =
            "@Test(\n    \(quote)It holds [B-1]\(quote),\n    .disabled(\(quote)not yet\(quote)), arguments: [1])\n"
            + "@Test(\(quote)It runs [B-2]\(quote), arguments: [1])\n"
        let found = Annotation.inTests(source, file: "T.swift")
        #expect(found.map(\.disabled) == ["not yet", nil])
        #expect(found.map(\.ids) == [[], ["B-2"]])
    }

    @Test("Every class of faults has a test, and docs/attacks.md says so")
    func repository() throws {
        let attacks = try Attacks(Requirements(root: Repository.root), root: Repository.root)
        #expect(attacks.faults() == [])
        #expect(attacks.faultClasses.count == 40 && attacks.suites.count >= 10)
        let isCurrent = try Files.text(Repository.root + "/" + Attacks.path) == attacks.page()
        #expect(isCurrent, "docs/attacks.md is stale: run “swift run -c release proof requirements”")
    }
}
