import Testing

@Suite("tcp explore")
struct ExploreTests {
    @Test("The last line of JSON is the result, its keys in their order")
    func result() throws {
        let command = try Command.run("explore", "close", "--depth", "2", "--json")
        #expect(command.status == 0 && command.errors.isEmpty)
        let objects = try command.objects()
        let last = try #require(objects.last)
        let states = try #require(last["states"] as? Int)
        let transitions = try #require(last["transitions"] as? Int)
        #expect(states > 10 && transitions >= states - 4)
        #expect(
            command.lines.last
                == "{\"event\":\"result\",\"kind\":\"close\",\"depth\":2,\"states\":\(states),\"transitions\":\(transitions),\"violations\":0}"
        )
        #expect(objects.dropLast().allSatisfy { $0["event"] as? String == "scene" })
    }

    @Test("Every kind is explored, and its scenes are listed with their figures")
    func kinds() throws {
        for kind in ["open", "close", "open-close", "simultaneous", "reset"] {
            let command = try Command.run("explore", kind, "--depth", "1")
            #expect(command.status == 0 && command.output.contains("✓") && command.output.contains("0 violations"))
        }
    }

    @Test("A kind that is none, or a depth of nothing, is a mistake of usage in one sentence")
    func mistakes() throws {
        for arguments in [["explore", "opening"], ["explore", "close", "--depth", "0"], ["explore"]] {
            let command = try Command.run(arguments)
            #expect(command.status == 64 && command.output.isEmpty)
            #expect(command.errors.split(separator: "\n").count == 1)
        }
    }
}
