internal import ArgumentParser
internal import TCPSimulator
internal import TCPTrace

/// `tcp simulate`: situations that real networks bring about rarely, at will.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Play a scene of TCP's life, or measure a transfer over a bad network.",
        discussion: """
            'tcp simulate --list' names the scenes; 'tcp simulate lost-syn' plays one. \
            'tcp simulate transfer --help' tells about measuring, 'tcp simulate grid --help' about measuring on many \
            networks at once.
            """,
        subcommands: [SceneCommand.self, TransferCommand.self, GridCommand.self],
        defaultSubcommand: SceneCommand.self)
}

/// `tcp simulate NAME`.
struct SceneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scene", abstract: "Play a scene: 'tcp simulate lost-syn' is enough.")

    @Argument(help: "The scene's name or number; '--list' shows them.")
    var name: String?

    @Flag(help: "List the scenes.")
    var list = false

    @OptionGroup var presentation: PresentationOptions

    func validate() throws {
        guard !list else { return }
        guard let name else {
            throw ValidationError("Name a scene, as 'tcp simulate lost-syn'; 'tcp simulate --list' shows them all")
        }
        guard Scene.named(name) != nil else {
            throw ValidationError("There is no scene '\(name)'; 'tcp simulate --list' shows them all")
        }
    }

    func run() throws {
        if list { return Terminal.say(presentation.json ? listInJSON : listAsText) }
        guard let name, let scene = Scene.named(name) else { return }
        let outcome = scene.play(presentation.sceneOptions)
        if presentation.json {
            for part in outcome.parts { Terminal.say(JSONLines.lines(of: part.trace)) }
            Terminal.say([ResultLine.text(scenario: scene.name, outcome)])
        } else {
            Terminal.say(page(scene, outcome))
        }
        guard outcome.holds, outcome.isIntact else { throw ExitCode.failure }
    }

    private var listAsText: [String] {
        var page = Page(presentation.style)
        page.heading(Phrase("The scenes", "场景一览")[page.language])
        page.blank()
        for scene in Scene.all {
            page.entry(scene.number.padded(to: 5) + scene.name, scene.title, termWidth: 27)
        }
        page.paragraph(
            Phrase(
                "Play one with 'tcp simulate NAME'. 'tcp simulate transfer --help' measures a transfer over a bad network.",
                "用 tcp simulate 加场景名播放一个场景。tcp simulate transfer --help 介绍如何在恶劣的网络上测量传输。"))
        return page.lines
    }

    private var listInJSON: [String] {
        Scene.all.map { scene in
            var object = JSONObject()
            object.add("event", "scene")
            object.add("number", scene.number)
            object.add("name", scene.name)
            object.add("title", scene.title[presentation.chosenLanguage])
            return object.line
        }
    }

    private func page(_ scene: Scene, _ outcome: SceneOutcome) -> [String] {
        var page = Page(presentation.style)
        page.heading("\(scene.number) · \(scene.title[page.language])")
        page.paragraph(scene.introduction)
        for part in outcome.parts {
            page.blank()
            if let heading = part.heading {
                page.heading(heading[page.language])
                page.blank()
            }
            page.ladder(part, foldsRunsOf: 8, foldsLosses: false)
        }
        page.blank()
        page.heading(Phrase("What this shows", "这一幕说明")[page.language])
        page.checks(outcome.checks)
        return page.lines
    }
}
