internal import ArgumentParser
internal import Glibc
internal import TCPExplorer
internal import TCPTrace

extension ExplorationResult {
    /// One line for each scene and for each violation.
    var jsonLines: [String] {
        scenes.map { scene in
            var object = JSONObject()
            object.add("event", "scene")
            object.add("name", scene.name)
            object.add("states", scene.states)
            object.add("transitions", scene.transitions)
            object.add("violations", scene.violations)
            return object.line
        }
            + violations.map { violation in
                var object = JSONObject()
                object.add("event", "violation")
                object.add("scene", violation.sceneName)
                object.add("rule", violation.rule)
                object.add("explanation", violation.explanation)
                object.add("steps", violation.steps())
                return object.line
            }
    }

    /// The last line.
    var resultLine: String {
        var object = JSONObject()
        object.add("event", "result")
        object.add("kind", kind.rawValue)
        object.add("depth", depth)
        object.add("states", states)
        object.add("transitions", transitions)
        object.add("violations", violations.count)
        return object.line
    }
}

/// Small files of text.
enum TextFile {
    /// Writes lines to a file that is made, or made anew.
    static func write(_ lines: [String], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            Terminal.complain("Cannot write \(path): name a folder that you may write with '--output'.")
            throw ExitCode.failure
        }
        Terminal.write(file, lines.map { $0 + "\n" }.joined())
        _ = Glibc.close(file)
    }
}
