import ProofKit
import Testing

@Suite("The lists of rules")
struct RequirementTests {
    private func list(_ text: String) throws(ProofError) -> RequirementList {
        try RequirementList(parsing: text, file: "list.tsv")
    }

    private func annotation(_ ids: String...) -> Annotation {
        Annotation(file: "Tests/T.swift", line: 7, sentence: "It is so", references: ids)
    }

    @Test("A rule has five fields and a level")
    func fields() throws {
        let parsed = try list("## a remark\n# RFC 1\nMUST-1\t3.1\tMUST\tIt is so.\t\n")
        #expect(
            parsed.parts.first?.rows == [
                Requirement(id: "MUST-1", section: "3.1", level: "MUST", rule: "It is so.", reason: "")
            ])
        for wrong in [
            "# RFC 1\nMUST-1\t3.1\tMUST\tIt is so.\n", "# RFC 1\nMUST-1\t3.1\tmust\tIt is so.\t\n",
            "# RFC 1\nmust1\t3.1\tMUST\tIt is so.\t\n", "MUST-1\t3.1\tMUST\tIt is so.\t\n",
        ] { #expect(throws: ProofError.self) { try list(wrong) } }
    }

    @Test("A rule with neither a test nor a reason is a fault")
    func gap() throws {
        let lists = [try list("# RFC 1\nMUST-1\t1\tMUST\tIt is so.\t\nMUST-2\t2\tMUST\tThat too.\tNot built yet.\n")]
        #expect(Requirements(lists: lists, annotations: []).faults().count == 1)
        #expect(Requirements(lists: lists, annotations: [annotation("MUST-1")]).faults().isEmpty)
    }

    @Test("A test that names a rule of no list is a fault, told with its place")
    func unknown() throws {
        let lists = [try list("# RFC 1\nMUST-1\t1\tMUST\tIt is so.\t\n")]
        let faults = Requirements(lists: lists, annotations: [annotation("MUST-1", "MUST-9", "RFC 9")]).faults()
        #expect(faults.count == 1)
        #expect(faults.first?.hasPrefix("Tests/T.swift:7 names MUST-9") == true)
    }

    @Test("An id that stands twice is a fault")
    func twice() throws {
        let lists = [try list("# RFC 1\nMAY-1\t1\tMAY\tIt may.\tNo.\nMAY-1\t1\tMAY\tIt may.\tNo.\n")]
        #expect(Requirements(lists: lists, annotations: []).faults().count == 1)
    }

    @Test("The page counts what is met, in part and not, and names each test")
    func page() throws {
        let lists = [
            try list(
                "# RFC 1\nMUST-1\t1\tMUST\tOne.\t\nMUST-2\t2\tMUST\tTwo.\tHalf.\nMUST-3\t3\tMUST\tThree.\tNot built yet.\n"
            )
        ]
        let page = Requirements(lists: lists, annotations: [annotation("MUST-1", "MUST-2")]).page()
        #expect(page.contains("| RFC 1 | 3 | 1 | 1 | 1 |"))
        #expect(page.contains("| MUST-1 | 1 | MUST | One. | [T.swift](Tests/T.swift): It is so |"))
        #expect(page.contains("**in part**: Half.<br>[T.swift]"))
        #expect(page.contains("**not met**: Not built yet. |"))
    }

    @Test("Every rule has a test or a reason, and Requirements.md says so")
    func repository() throws {
        let requirements = try Requirements(root: Repository.root)
        #expect(requirements.faults() == [])
        #expect(requirements.rows.filter { $0.id.hasPrefix("U-") }.count == 45)
        let numbered = requirements.rows.filter { row in
            ["MUST-", "SHLD-", "MAY-", "REC-"].contains { row.id.hasPrefix($0) }
        }
        #expect(numbered.count == 119)
        let isCurrent = try Files.text(Repository.root + "/Requirements.md") == requirements.page()
        #expect(isCurrent, "Requirements.md is stale: run “swift run -c release proof requirements”")
    }
}
