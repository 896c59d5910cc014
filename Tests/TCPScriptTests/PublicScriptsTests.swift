import Synchronization
import TCPScript
import Testing

/// The public scripts, and the page that answers for those that do not pass.
@Suite(
    "The public packet scripts", .enabled(if: SharedScripts.areThere, Comment(rawValue: SharedScripts.whyNot)))
struct PublicScriptsTests {
    /// A row of the page's tables: a script and why it does not pass.
    struct Row {
        var script: String
        var reason: String
        /// A script of ours, for one of class A.
        var ours: String?
    }

    static func page() throws -> String {
        String(decoding: try ScriptFiles.read(SharedScripts.root + "/docs/scripts.md"), as: UTF8.self)
    }

    static func rows() throws -> [String: Row] {
        var rows: [String: Row] = [:]
        for line in try page().split(separator: "\n") {
            guard let match = line.wholeMatch(of: /\| `([^`]+\.pkt)` \| (.+?) \|( `([^`]+\.pkt)` \|)?/) else {
                continue
            }
            let row = Row(script: String(match.1), reason: String(match.2), ours: match.4.map(String.init))
            #expect(rows[row.script] == nil, "\(row.script) stands there twice")
            rows[row.script] = row
        }
        return rows
    }

    static func reports(_ entries: [SharedScripts.Entry]) -> [String: Report] {
        let reports = Mutex<[String: Report]>([:])
        Batch.run(entries.map(SharedScripts.location(of:))) { report in
            reports.withLock { $0[report.file] = report }
        }
        return reports.withLock { $0 }
    }

    @Test(
        "Every public script passes, or the page says why it does not; the page names no other, and its counts are right"
    )
    func allPlayed() throws {
        let entries = try SharedScripts.entries()
        let rows = try PublicScriptsTests.rows()
        let reports = PublicScriptsTests.reports(entries)
        var passed = (a: 0, b: 0)
        for entry in entries {
            let report = try #require(reports[SharedScripts.location(of: entry)])
            if report.outcome == .passed {
                if entry.isClassA { passed.a += 1 } else { passed.b += 1 }
                #expect(rows[entry.name] == nil, "\(entry.name) passes, and the page says why it does not")
            } else {
                #expect(rows[entry.name] != nil, "\(report.lines.joined(separator: "\n"))")
            }
        }
        let names = Set(entries.map(\.name))
        for row in rows.values { #expect(names.contains(row.script), "\(row.script) is no public script") }
        let total = (a: entries.count(where: \.isClassA), b: entries.count { !$0.isClassA })
        let sentence =
            "\(passed.a) of the \(total.a) of class A pass, and \(passed.b) of the \(total.b) of class B."
        #expect(try PublicScriptsTests.page().contains(sentence), "it should say: \(sentence)")
    }

    @Test("For a script of class A the page cites the RFC, and a script of ours that passes")
    func argued() throws {
        let rows = try PublicScriptsTests.rows()
        for entry in try SharedScripts.entries() where entry.isClassA {
            guard let row = rows[entry.name] else { continue }
            #expect(row.reason.contains(/RFC \d+ §\d/), "\(row.script)")
            let path = SharedScripts.root + "/Tests/Scripts/" + (try #require(row.ours, "\(row.script)"))
            let report = Batch.run(path)
            #expect(report.outcome == .passed, "\(report.lines.joined(separator: "\n"))")
        }
    }

    @Test("Played over IPv6, the scripts that name no version of IP end as they do over IPv4, but for ICMP's own words")
    func overIPv6() throws {
        let entries = try SharedScripts.entries()
        let reports = PublicScriptsTests.reports(entries)
        let withICMP: Set = ["icmp", "pmtu"]
        for entry in entries where withICMP.allSatisfy({ !entry.topic.hasPrefix($0) }) && entry.suite != "freebsd" {
            let path = SharedScripts.location(of: entry)
            guard reports[path]?.outcome == .passed else { continue }
            for family in [Family.ipv6, .mapped] {
                var options = Runner.Options()
                options.family = family
                let report = Batch.run(path, options: options)
                #expect(report.outcome == .passed, "\(report.lines.joined(separator: "\n"))")
            }
        }
    }
}
